# JupyterLab with everything installed, without PyTorch's GPU libraries. Untested: no Docker was at hand.
#   docker build -t deocc .
#   docker run --rm -p 127.0.0.1:8888:8888 --shm-size=1g deocc     # then open the address that it prints
# With GPU libraries: docker build --build-arg TORCH= -t deocc . and docker run --gpus all ...
FROM python:3.11-slim AS base
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential git \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 --shell /bin/bash learner

FROM base AS lab
ARG TORCH=cpu
USER learner
WORKDIR /home/learner/deocc
COPY --chown=learner . .
RUN make setup TORCH=$TORCH && rm -rf /home/learner/.cache
EXPOSE 8888
CMD ["make", "lab", "LAB=--ip=0.0.0.0 --no-browser"]

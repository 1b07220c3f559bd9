// The browser's half of deocc.widgets.picture.Picture.

function render({ model, el }) {
  const shown = document.createElement("img");
  let address = "";
  const spare = []; // addresses of earlier pictures
  shown.className = "deocc-picture";
  shown.draggable = false; // a dragged picture would be dropped as a file
  el.appendChild(shown);

  function giveBack() {
    for (const old of spare.splice(0)) URL.revokeObjectURL(old);
  }

  // Old addresses are given back only when the new picture is there: no flicker, no broken picture.
  function load() {
    const data = model.get("value");
    if (address) spare.push(address);
    address = data?.byteLength ? URL.createObjectURL(new Blob([data])) : "";
    shown.hidden = !address;
    if (address) shown.src = address;
    else giveBack();
  }

  function describe() {
    shown.alt = model.get("label");
  }

  shown.onload = giveBack;
  model.on("change:value", load);
  model.on("change:label", describe);
  const unwatch = watchKernel(model, () => sayGone(shown, el));
  describe();
  load();

  return () => {
    unwatch();
    model.off("change:value", load);
    model.off("change:label", describe);
    if (shown.classList.contains("deocc-dead")) return; // it stays on the page
    giveBack();
    URL.revokeObjectURL(address);
  };
}

export default { render };

// The browser's half of deocc.widgets.picture.Picture.

function render({ model, el }) {
  const shown = document.createElement("img");
  let address = "";
  shown.className = "deocc-picture";
  el.appendChild(shown);

  // The old address is given back only when the new picture is there: no flicker, no broken picture.
  function load() {
    const data = model.get("value");
    const old = address;
    address = data?.byteLength ? URL.createObjectURL(new Blob([data])) : "";
    shown.hidden = !address;
    shown.onload = () => old && URL.revokeObjectURL(old);
    if (address) shown.src = address;
  }

  function describe() {
    shown.alt = model.get("label");
  }

  model.on("change:value", load);
  model.on("change:label", describe);
  const unwatch = watchKernel(model, () => sayGone(shown, el));
  describe();
  load();

  return () => {
    unwatch();
    model.off("change:value", load);
    model.off("change:label", describe);
    if (!shown.classList.contains("deocc-dead")) URL.revokeObjectURL(address);
  };
}

export default { render };

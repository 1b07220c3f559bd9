// The browser's half of deocc.widgets.canvas.Canvas: it draws a picture with its layers and reports what the hand does.
// Positions are picture pixels; (0, 0) is the upper left corner of the upper left pixel.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CURSORS = { drag: "default", point: "crosshair", box: "crosshair", brush: "none", none: "default" };
const KEPT = 8; // picture pixels of a sprite that stay inside the picture
const CLICK = 6; // screen pixels that a finger may move and still click; a box is longer
const INK = "rgb(213, 94, 0)";

async function decode(data) {
  return data && data.byteLength ? createImageBitmap(new Blob([data])) : null;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Loads pictures one after the other; a late older one never replaces a newer one.
function makeLoader(pictures, onLoad) {
  const serial = {};
  return async (name, data) => {
    const mine = (serial[name] = (serial[name] ?? 0) + 1);
    const picture = await decode(data).catch(() => null);
    if (serial[name] !== mine) return;
    pictures[name] = picture;
    onLoad();
  };
}

function render({ model, el }) {
  const surface = document.createElement("canvas");
  const context = surface.getContext("2d");
  const pictures = {};
  let hand = null; // what the pressed pointer is doing
  let hover = null; // where the pointer is, for the brush's ring
  let active = null; // name of the sprite that the arrow keys move
  let nudged = false;
  let pending = []; // strokes on their way to the kernel, drawn until the painted layer comes back
  let frame = 0;

  surface.className = "deocc-canvas";
  el.appendChild(surface);

  const size = () => [model.get("width"), model.get("height")];
  const sprites = () => Object.entries(model.get("sprites"));
  const place = (name) => model.get("positions")[name] ?? [0, 0];

  // The tool in the hand, and whether it rubs out.
  const held = () => model.get("choices")[model.get("choice")] ?? [model.get("tool"), model.get("erase")];

  // -------------------------------------------------------------------------------- drawing

  function paintStroke({ points, width, erase }) {
    context.strokeStyle = erase ? "rgba(255, 255, 255, 0.6)" : "rgba(86, 180, 233, 0.6)";
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
    context.stroke();
  }

  function paintBox([x0, y0, x1, y1], pixel) {
    context.lineWidth = 3 * pixel;
    context.strokeStyle = "white";
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    context.lineWidth = 1.5 * pixel;
    context.strokeStyle = INK;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  function paintPoint([x, y], pixel) {
    for (const [colour, width] of [["white", 4], [INK, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * pixel;
      context.beginPath();
      context.arc(x + 0.5, y + 0.5, 7 * pixel, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function paintRing([x, y], pixel) {
    context.lineWidth = 1.5 * pixel;
    context.strokeStyle = INK;
    context.beginPath();
    context.arc(x, y, model.get("brush") / 2, 0, 2 * Math.PI);
    context.stroke();
  }

  function paintTool(pixel) {
    const box = hand?.tool === "box" ? [...hand.start, ...hand.end] : model.get("box");
    if (box) paintBox(box, pixel);
    if (model.get("point")) paintPoint(model.get("point"), pixel);
    for (const stroke of pending) paintStroke(stroke);
    if (hand?.tool === "brush") paintStroke(hand.stroke);
    if (held()[0] === "brush" && hover) paintRing(hover, pixel);
  }

  function draw() {
    frame = 0;
    const [width, height] = size();
    const scale = surface.width / width;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    if (pictures.background) context.drawImage(pictures.background, 0, 0, width, height);
    for (const [name, sprite] of sprites()) {
      const picture = pictures[`sprite:${name}`];
      if (picture) context.drawImage(picture, ...place(name), sprite.width, sprite.height);
    }
    for (const layer of [pictures.overlay, pictures.painted]) {
      if (layer) context.drawImage(layer, 0, 0, width, height);
    }
    paintTool((window.devicePixelRatio || 1) / scale);
    surface.dataset.ready = String(Boolean(pictures.background));
  }

  function redraw() {
    frame ||= requestAnimationFrame(draw);
  }

  function resize() {
    const [width, height] = size();
    surface.style.aspectRatio = `${width} / ${height}`;
    const across = Math.round(surface.clientWidth * (window.devicePixelRatio || 1));
    if (!across) return;
    surface.width = across;
    surface.height = Math.max(1, Math.round((across * height) / width));
    redraw();
  }

  // -------------------------------------------------------------------------------- pointer

  function at(event) {
    const box = surface.getBoundingClientRect();
    const [width, height] = size();
    const x = ((event.clientX - box.left) / box.width) * width;
    return [x, ((event.clientY - box.top) / box.height) * height];
  }

  function spriteAt([x, y]) {
    const found = sprites().filter(([name, sprite]) => {
      const [left, top] = place(name);
      const inside = x >= left && x < left + sprite.width && y >= top && y < top + sprite.height;
      return sprite.draggable && inside;
    });
    return found.length ? found[found.length - 1][0] : null;
  }

  function move(name, x, y) {
    const [width, height] = size();
    const sprite = model.get("sprites")[name];
    const left = clamp(Math.round(x), KEPT - sprite.width, width - KEPT);
    const top = clamp(Math.round(y), KEPT - sprite.height, height - KEPT);
    const [oldLeft, oldTop] = place(name);
    if (left === oldLeft && top === oldTop) return false;
    model.set("positions", { ...model.get("positions"), [name]: [left, top] });
    model.save_changes(); // the widget manager sends only the latest while the kernel is busy
    return true;
  }

  function drop(name) {
    const [x, y] = place(name);
    model.send({ kind: "drop", name, x, y });
  }

  function press(event) {
    if (event.button !== 0 || hand) return;
    const [tool, erase] = held();
    const point = at(event);
    const screen = [event.clientX, event.clientY];
    surface.focus({ preventScroll: true });
    if (tool === "drag") {
      const name = spriteAt(point);
      if (!name) return;
      const [left, top] = place(name);
      active = name;
      hand = { tool, name, grip: [point[0] - left, point[1] - top], moved: false };
    } else if (tool === "point") {
      hand = { tool, start: point, screen, erase };
    } else if (tool === "box") {
      hand = { tool, start: point, end: point, screen };
    } else if (tool === "brush") {
      const style = { width: model.get("brush"), erase };
      hand = { tool, stroke: { points: [point], ...style, serial: Date.now() } };
    } else return;
    hand.pointer = event.pointerId;
    surface.setPointerCapture(event.pointerId);
    surface.classList.add("deocc-pressed");
    event.preventDefault();
    redraw();
  }

  function slide(event) {
    const point = at(event);
    hover = point;
    if (held()[0] === "drag") surface.classList.toggle("deocc-grab", Boolean(spriteAt(point)));
    if (hand && event.pointerId === hand.pointer) {
      if (hand.tool === "drag") {
        hand.moved = move(hand.name, point[0] - hand.grip[0], point[1] - hand.grip[1]) || hand.moved;
      }
      if (hand.tool === "box") hand.end = point;
      if (hand.tool === "brush") hand.stroke.points.push(point);
    }
    redraw();
  }

  function release(event) {
    if (!hand || event.pointerId !== hand.pointer) return;
    const done = hand;
    hand = null;
    surface.classList.remove("deocc-pressed");
    if (event.type === "pointercancel" && done.tool !== "drag") return redraw();
    if (done.tool === "drag" && done.moved) drop(done.name);
    const still = () => Math.hypot(event.clientX - done.screen[0], event.clientY - done.screen[1]) <= CLICK;
    if (done.tool === "point" && still()) {
      model.send({ kind: "point", x: done.start[0], y: done.start[1], erase: done.erase });
    }
    if (done.tool === "box" && !still()) {
      const [[x0, y0], [x1, y1]] = [done.start, at(event)];
      model.send({ kind: "box", x0, y0, x1, y1 });
    }
    if (done.tool === "brush") {
      pending.push(done.stroke);
      model.send({ kind: "stroke", ...done.stroke });
    }
    redraw();
  }

  function leave() {
    hover = null;
    redraw();
  }

  // -------------------------------------------------------------------------------- keys

  // The box of widgets whose keys belong to this canvas: an ancestor of class deocc-keys, else the canvas.
  function scope() {
    return el.closest(".deocc-keys") ?? el;
  }

  function takesText(target) {
    const texts = "input:not([type=checkbox], [type=file]), textarea, select, [contenteditable=true]";
    return target.matches?.(`${texts}, [role=slider]`);
  }

  function nudge(event) {
    const names = sprites().filter(([, sprite]) => sprite.draggable).map(([name]) => name);
    const name = names.includes(active) ? active : names[names.length - 1];
    if (!name) return false;
    active = name;
    const step = event.shiftKey ? 10 : 1;
    const [left, top] = place(name);
    const [right, down] = ARROWS[event.key];
    nudged = move(name, left + step * right, top + step * down) || nudged;
    return true;
  }

  function keyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!scope().contains(event.target) || takesText(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const drags = event.target === surface && held()[0] === "drag";
    const done = (drags && ARROWS[key] && nudge(event)) || report(key, event.repeat);
    if (!done) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // else JupyterLab takes d, r, ... for its own shortcuts
  }

  function report(key, repeated) {
    if (!model.get("hotkeys").includes(key)) return false;
    if (!repeated) model.send({ kind: "key", key });
    return true;
  }

  function keyUp(event) {
    if (!nudged || !ARROWS[event.key]) return;
    nudged = false;
    drop(active);
  }

  // -------------------------------------------------------------------------------- wiring

  const load = makeLoader(pictures, redraw);
  const layers = ["background", "overlay"];

  function loadSprites() {
    for (const [name, sprite] of sprites()) load(`sprite:${name}`, sprite.image);
  }

  function loadPainted() {
    load("painted", model.get("painted")).then(() => {
      pending = pending.filter((stroke) => stroke.serial > model.get("painted_serial"));
      redraw();
    });
  }

  function describe() {
    const [tool] = held();
    const listens = tool !== "none" || model.get("hotkeys").length > 0;
    surface.tabIndex = listens ? 0 : -1;
    surface.setAttribute("role", listens ? "application" : "img");
    surface.setAttribute("aria-label", model.get("label"));
    surface.dataset.tool = tool;
    surface.style.cursor = CURSORS[tool];
    redraw();
  }

  const watched = [
    ...layers.map((name) => [name, () => load(name, model.get(name))]),
    ...["painted", "painted_serial"].map((name) => [name, loadPainted]),
    ["sprites", loadSprites],
    ...["positions", "point", "box", "brush"].map((name) => [name, redraw]),
    ...["tool", "choices", "choice", "hotkeys", "label"].map((name) => [name, describe]),
    ...["width", "height"].map((name) => [name, resize]),
  ];
  for (const [name, callback] of watched) model.on(`change:${name}`, callback);

  const pointer = { pointerdown: press, pointermove: slide, pointerup: release, pointercancel: release };
  for (const [name, callback] of Object.entries({ ...pointer, pointerleave: leave })) {
    surface.addEventListener(name, callback);
  }
  window.addEventListener("keydown", keyDown, true); // before JupyterLab's listener on the document
  window.addEventListener("keyup", keyUp, true);
  const observer = new ResizeObserver(resize);
  observer.observe(surface);

  const unwatch = watchKernel(model, () => sayGone(surface, el));

  for (const name of layers) load(name, model.get(name));
  loadPainted();
  loadSprites();
  describe();
  resize();

  return () => {
    unwatch();
    observer.disconnect();
    window.removeEventListener("keydown", keyDown, true);
    window.removeEventListener("keyup", keyUp, true);
    for (const [name, callback] of watched) model.off(`change:${name}`, callback);
  };
}

export default { render };

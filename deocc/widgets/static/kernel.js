// Shared by the widgets of deocc.widgets; it stands before the script of each of them.

const GONE = ["restarting", "autorestarting", "dead"]; // states of a kernel that forgets its widgets
const GONE_WORDS = "This picture no longer answers: its kernel has stopped. Run the cell again, or reload the page.";

// Calls back once the widget's kernel has stopped or is started anew; returns what ends the watch.
function watchKernel(model, onGone) {
  const kernel = model.widget_manager?.kernel;
  const heard = (_, status) => GONE.includes(status) && onGone();
  kernel?.statusChanged?.connect(heard);
  return () => kernel?.statusChanged?.disconnect(heard);
}

// Greys a widget's element and says below it what to do; once.
function sayGone(shown, el) {
  if (shown.classList.contains("deocc-dead")) return;
  shown.classList.add("deocc-dead");
  el.append(Object.assign(document.createElement("div"), { className: "deocc-gone", textContent: GONE_WORDS }));
}

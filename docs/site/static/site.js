// A figure opens at its own size: on a phone its labels are small.
document.addEventListener("click", event => {
  const picture = event.target.closest("article img");
  if (picture && !picture.closest("a")) window.open(picture.src, "_blank");
});

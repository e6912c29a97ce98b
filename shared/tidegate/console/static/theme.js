// Runs before anything is painted, so that a chosen theme never flashes in late.
(() => {
  const chosen = localStorage.getItem("tidegate.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

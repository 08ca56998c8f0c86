// Loads the page again every second and keeps what the reader has opened or closed.
"use strict";

const live = document.getElementById("live");
live.parentElement.hidden = false;

async function refresh() {
  if (!live.checked || document.hidden) return;
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const old of document.querySelectorAll("details[id]")) {
    const fresh = page.getElementById(old.id);
    if (fresh) fresh.open = old.open;
  }
  document.querySelector("main").replaceWith(page.querySelector("main"));
}

setInterval(() => refresh().catch(() => {}), 1000);

// What pages do beyond forms and links: they work without it too.
(() => {
  "use strict";

  // Times are shown in the reader's own zone from the next page on.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = document.cookie.includes("zone-told=" + encodeURIComponent(zone));
  if (zone && !known) {
    document.cookie = "zone-told=" + encodeURIComponent(zone) + "; path=/; max-age=31536000; samesite=lax";
    fetch("/language", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ zone }),
      redirect: "manual",
    });
  }

  // A form that was refused takes the reader to what is wrong with it.
  const summary = document.getElementById("summary");
  if (summary) summary.focus();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    const status = button.parentElement.querySelector("[role=status]");
    if (status) status.textContent = button.dataset.copied;
  });

  // What is left of the time to answer, once a minute: exact times stand beside it.
  const countdown = () => {
    for (const place of document.querySelectorAll("[data-until]")) {
      const left = Date.parse(place.dataset.until) - Date.now();
      if (left <= 0) {
        place.textContent = place.dataset.over;
        continue;
      }
      const minutes = Math.floor(left / 60000);
      const format = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
      place.textContent =
        minutes >= 2880 ? format.format(Math.floor(minutes / 1440), "day")
        : minutes >= 120 ? format.format(Math.floor(minutes / 60), "hour")
        : format.format(minutes, "minute");
    }
  };
  countdown();
  setInterval(countdown, 60000);

  // Queues are worked by keyboard: j and k walk, Enter opens.
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...document.querySelectorAll("[data-queue] a[data-row]")];
    if (!rows.length || !["j", "k"].includes(event.key)) return;
    const at = rows.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
    rows[next].focus();
    event.preventDefault();
  });

  // A menu closes when the reader goes elsewhere.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();

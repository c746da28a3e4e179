// A filter over the contents, and a copy button on examples. The page reads whole without either.
"use strict";

const place = document.getElementById("filter");
const field = document.createElement("input");
field.type = "search";
field.placeholder = "Filter routes";
field.setAttribute("aria-label", "Filter routes");
place.append(field);
field.addEventListener("input", () => {
  const wanted = field.value.trim().toLowerCase();
  for (const entry of document.querySelectorAll("nav li")) {
    const text = `${entry.textContent} ${entry.firstElementChild.title}`.toLowerCase();
    entry.hidden = !text.includes(wanted);
  }
});

if (navigator.clipboard) {
  for (const figure of document.querySelectorAll("figure")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(figure.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
    figure.append(button);
  }
}

"use strict";
// The page is whole without this; it adds the filter and the buttons that copy.
(function () {
  const controls = document.getElementById("controls");
  const search = document.getElementById("search");
  const onlyBad = document.getElementById("only-bad");
  const shown = document.getElementById("shown");
  const kinds = Array.from(controls.querySelectorAll("input[data-kind]"));
  const rows = Array.from(document.querySelectorAll("tr.row"), function (row) {
    return { row: row, kind: row.dataset.kind, bad: row.classList.contains("bad"), text: null };
  });
  const processes = Array.from(document.querySelectorAll("details.process"));

  function textOf(item) {
    if (item.text === null) {
      const owner = item.row.closest("details.process");
      item.text = (owner.firstElementChild.textContent + " " + item.row.textContent).toLowerCase();
    }
    return item.text;
  }

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(kinds.filter((box) => box.checked).map((box) => box.dataset.kind));
    let count = 0;
    for (const item of rows) {
      const show = wanted.has(item.kind) && (!onlyBad.checked || item.bad) &&
                   words.every((word) => textOf(item).includes(word));
      item.row.hidden = !show;
      count += show;
    }
    for (const process of processes) {
      process.hidden = process.querySelector("tr.row:not([hidden])") === null;
    }
    shown.textContent = count + " of " + rows.length;
  }

  function copy(button) {
    const block = button.parentElement.querySelector("pre");
    const told = (word) => {
      button.textContent = word;
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    const select = () => {
      getSelection().selectAllChildren(block);
      told(document.execCommand("copy") ? "Copied" : "Selected");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(block.textContent).then(() => told("Copied"), select);
    else select();
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  if (rows.length > 0) {
    let waiting = 0;
    controls.hidden = false;
    controls.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, rows.length > 500 ? 150 : 0);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && event.target === document.body) {
        event.preventDefault();
        search.focus();
      } else if (event.key === "Escape" && event.target === search) {
        search.value = "";
        apply();
      }
    });
    apply();
  }
}());

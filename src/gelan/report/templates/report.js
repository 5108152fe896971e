"use strict";

// Tables: a button in each heading sorts by that column, from best to worst first; what has no value stays last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const first = heading.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = heading.getAttribute("aria-sort") === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [value(one), value(two)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const numbers = heading.dataset.kind !== "text";
        return sign * (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
      });
      headings.forEach((cell) => cell.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      body.append(...rows);
    });
  });
}

// Curves: one class singled out in all charts.
const choose = document.querySelector("#choose-class");
if (choose) {
  choose.closest(".choose").hidden = false;
  choose.addEventListener("change", () => {
    for (const path of document.querySelectorAll("path[data-class]")) {
      const chosen = path.dataset.class === choose.value;
      path.classList.toggle("single", chosen);
      if (chosen) path.parentNode.append(path);
    }
  });
}

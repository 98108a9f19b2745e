"use strict";
// Sorting: by the number behind a cell where it has one, else by its text; unknown numbers come last.
function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent;
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compare(one, two, sign) {
  if (one === null || two === null) return (one === null) - (two === null);
  if (typeof one === "number" && typeof two === "number") return sign * (one - two);
  return sign * String(one).localeCompare(String(two), "en", { numeric: true });
}

function sortBy(table, column) {
  const heads = Array.from(table.tHead.rows[0].cells);
  const isUp = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", isUp ? "ascending" : "descending");
  const rows = Array.from(table.tBodies[0].rows).map((row) => [key(row, column), row]);
  rows.sort((one, two) => compare(one[0], two[0], isUp ? 1 : -1));
  table.tBodies[0].append(...rows.map((pair) => pair[1]));
}

function search(table, wanted, said) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = Array.from(table.tBodies[0].rows);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  said.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
}

for (const table of document.querySelectorAll("table.searchable")) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, column));
  });
  const label = make("label", {}, "Search ");
  const input = make("input", { type: "search" });
  input.setAttribute("aria-label", `Search ${table.caption.textContent}`);
  label.append(input);
  const said = make("span", { class: "quiet", role: "status" });
  input.addEventListener("input", () => search(table, input.value, said));
  search(table, "", said);
  const box = make("div", { class: "search" });
  box.append(label, said);
  table.parentElement.before(box);
}

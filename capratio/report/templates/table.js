(() => {
  const summary = JSON.parse(document.getElementById("summary").textContent);
  const table = document.getElementById("summary-table");
  const body = table.tBodies[0];
  const lines = [...body.rows].map((element, index) => ({ element, values: summary.rows[index] }));
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const heading = button.parentElement;
    const descending = heading.getAttribute("aria-sort") === "ascending";
    const column = summary.columns.indexOf(button.dataset.key);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    lines.sort((a, b) => {
      const x = a.values[column], y = b.values[column];
      return x === null || y === null || !descending ? compare(x, y) : compare(y, x);
    });
    body.append(...lines.map((line) => line.element));
  });
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const line of lines) {
      const text = String(line.values[0]).toLowerCase();
      line.element.hidden = !words.every((word) => text.includes(word));
      count += !line.element.hidden;
    }
    shown.textContent = filter.value ? `${count} of ${lines.length}` : "";
  });
})();

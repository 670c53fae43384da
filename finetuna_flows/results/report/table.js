// The table of all relaxations. Only the rows in sight are in the page, so that ten thousand are
// as quick as ten: the others are two spacers, above and below.

const ROW = 34;
const SPARE = 12;
const PRINTED = 2000;

function bigTable({ onSort, signal }) {
  const head = make("tr", { "aria-rowindex": "1" });
  const body = make("tbody");
  const width = COLUMNS.reduce((sum, column) => sum + column.width, 0);
  const table = make(
    "table",
    {},
    make(
      "colgroup",
      {},
      ...COLUMNS.map((column) => {
        const col = make("col");
        col.style.width = `${column.width}px`;
        return col;
      }),
    ),
    make("thead", {}, head),
    body,
  );
  table.style.width = `${width}px`;
  const scroll = make(
    "div",
    { class: "scroll all", role: "region", "aria-label": "Relaxations", tabindex: "0" },
    table,
  );
  const shown = { rows: [], first: -1, last: -1, current: 0 };

  for (const column of COLUMNS) {
    head.append(
      make(
        "th",
        {
          scope: "col",
          class: column.number ? "number" : null,
          "aria-sort": "none",
          title: column.hint,
        },
        make(
          "button",
          { type: "button", on: { click: () => onSort(column.key) } },
          ...headOf(titleOf(column)),
        ),
      ),
    );
  }

  function rowOf(row, index) {
    const cells = COLUMNS.map((column, place) => {
      const content = column.show ? column.show(row) : (row[column.key] ?? NOTHING);
      const text = typeof content === "string" ? content : content.textContent;
      if (place)
        return make("td", { class: column.number ? "number" : null, title: text }, content);
      const name = make(
        "a",
        { href: relaxationPath(row), tabindex: index === shown.current ? "0" : "-1" },
        content,
      );
      return make("th", { scope: "row", title: text }, name);
    });
    const line = make("tr", { "aria-rowindex": String(index + 2) }, ...cells);
    line.addEventListener("click", (event) => {
      if (!event.target.closest("a") && getSelection().isCollapsed)
        location.hash = relaxationPath(row);
    });
    return line;
  }

  function spacer(rows) {
    const cell = make("td", { colspan: String(COLUMNS.length) });
    cell.style.height = `${rows * ROW}px`;
    return make("tr", { class: "spacer", "aria-hidden": "true" }, cell);
  }

  function render({ again = false, all = false } = {}) {
    const total = shown.rows.length;
    const top = Math.floor(scroll.scrollTop / ROW);
    const first = all ? 0 : Math.max(0, top - SPARE);
    const last = all
      ? Math.min(total, PRINTED)
      : Math.min(total, top + Math.ceil(scroll.clientHeight / ROW) + SPARE);
    if (!again && first === shown.first && last === shown.last) return;
    if (shown.current < first || shown.current >= last)
      shown.current = Math.min(top, Math.max(0, total - 1));
    const focused = body.contains(document.activeElement);
    const lines = shown.rows.slice(first, last).map((row, index) => rowOf(row, first + index));
    const rest = all ? [] : [spacer(total - last)];
    body.replaceChildren(spacer(first), ...lines, ...rest);
    Object.assign(shown, { first, last });
    if (focused) body.querySelector('a[tabindex="0"]')?.focus({ preventScroll: true });
  }

  function moveTo(index) {
    const total = shown.rows.length;
    if (!total) return;
    shown.current = Math.min(total - 1, Math.max(0, index));
    const top = shown.current * ROW;
    const room = scroll.clientHeight - table.tHead.offsetHeight - ROW;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top > scroll.scrollTop + room) scroll.scrollTop = top - room;
    render({ again: true });
    body.querySelector('a[tabindex="0"]').focus({ preventScroll: true });
  }

  scroll.addEventListener("scroll", () => render(), { passive: true });
  scroll.addEventListener("keydown", (event) => {
    if (event.target.closest("thead") || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(scroll.clientHeight / ROW) - 2);
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const within = body.contains(document.activeElement);
    moveTo(
      within || Math.abs(steps[event.key]) > 1 ? shown.current + steps[event.key] : shown.current,
    );
  });
  new ResizeObserver(() => render()).observe(scroll);
  window.addEventListener("beforeprint", () => render({ again: true, all: true }), { signal });
  window.addEventListener("afterprint", () => render({ again: true }), { signal });

  return {
    element: scroll,
    show(rows, state, top = 0) {
      Object.assign(shown, { rows, current: 0 });
      table.setAttribute("aria-rowcount", String(rows.length + 1));
      COLUMNS.forEach((column, index) =>
        head.children[index].setAttribute(
          "aria-sort",
          column.key !== state.sort ? "none" : state.down ? "descending" : "ascending",
        ),
      );
      render({ again: true });
      scroll.scrollTop = top;
      render();
    },
  };
}

// Elements are made, never parsed: what documents say becomes text, whatever it looks like.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value))
        element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function link(path, ...children) {
  return make("a", { href: path }, ...children);
}

function relaxationPath(row) {
  return `#/relaxation/${encodeURIComponent(row.uuid)}`;
}

function systemPath(row) {
  return `#/system/${encodeURIComponent(row.key)}`;
}

// A method's name after its colour, which is the one that plots draw it in.
function methodLabel(name) {
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = inkOf(name);
  return make("span", {}, swatch, name);
}

// One list of facts; what has no value is left out.
function factList(facts) {
  const list = make("dl", { class: "facts" });
  for (const [name, value, wide] of facts) {
    if (value === null || value === undefined || value === "") continue;
    const fact = make("div", wide ? { class: "wide" } : {}, make("dt", {}, name));
    fact.append(make("dd", {}, value));
    list.append(fact);
  }
  return list;
}

// A title with its unit below, where there is one: "Energy (eV)".
function headOf(title) {
  const found = /^(.*\S) (\(.*\))$/.exec(title);
  return found ? [found[1], make("br"), make("span", { class: "unit" }, found[2])] : [title];
}

// A small table: `columns` are {title, hint, number, long, cell(item)}, whose cells are text or
// elements; numbers stand to the right, long text takes several lines.
function smallTable(columns, items, { caption = null, className = "scroll" } = {}) {
  const head = columns.map(({ title, number, hint }) =>
    make("th", { scope: "col", class: number ? "number" : null, title: hint }, ...headOf(title)),
  );
  const body = items.map((item) =>
    make(
      "tr",
      {},
      ...columns.map(({ number, long, cell }, index) =>
        make(
          index ? "td" : "th",
          { class: number ? "number" : long ? "text" : null, scope: index ? null : "row" },
          cell(item) ?? NOTHING,
        ),
      ),
    ),
  );
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...body),
  );
  return make(
    "div",
    { class: className, tabindex: "0", role: "region", "aria-label": caption ?? "Table" },
    table,
  );
}

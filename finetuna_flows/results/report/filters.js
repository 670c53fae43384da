// Which relaxations the table shows and in which order; all of it stands in the address.

const OUTCOMES = {
  strict: ["strict success", (row) => row.strict === true],
  failed: ["no strict success", (row) => row.strict === false],
  passes: ["paper’s success", (row) => row.passes === true],
  higher: ["no paper’s success", (row) => row.passes === false],
  elsewhere: ["another minimum", (row) => row.same === false],
  unconverged: ["not converged", (row) => !row.converged],
  changed: ["adsorbate changed", (row) => !["intact", "no_adsorbate"].includes(row.integrity)],
  alone: ["in no comparison", (row) => !row.compared],
};
const CHOICES = { method: "name", mode: "mode", adsorbate: "adsorbate" };
const sought = new WeakMap();

// What the text filter looks through.
function haystack(row) {
  if (!sought.has(row)) {
    const words = [
      row.system,
      row.formula,
      row.adsorbate,
      row.name,
      row.method,
      row.mode,
      row.stop,
      row.integrity,
      row.tags,
      row.uuid,
    ];
    sought.set(row, words.filter(Boolean).join(" ").toLowerCase());
  }
  return sought.get(row);
}

// The values that a drop-down offers, those of the study's methods first.
function offered(field) {
  const found = new Set(relaxations.map((row) => row[field]).filter((value) => value !== null));
  const values = [...found].sort(byText);
  if (field !== "name") return values;
  return [
    ...study.methods.filter((name) => found.has(name)),
    ...values.filter((name) => !study.methods.includes(name)),
  ];
}

// From the address; what this study does not have is left out.
function readState(query) {
  const state = { text: query.get("q") ?? "", outcome: "", sort: null, down: false };
  for (const [name, field] of Object.entries(CHOICES)) {
    const value = query.get(name) ?? "";
    state[name] = offered(field).includes(value) ? value : "";
  }
  if (Object.hasOwn(OUTCOMES, query.get("outcome") ?? "")) state.outcome = query.get("outcome");
  const sort = query.get("sort");
  if (COLUMNS.some((column) => column.key === sort)) {
    state.sort = sort;
    state.down = query.get("order") === "down";
  }
  return state;
}

function writeState(state) {
  const query = new URLSearchParams();
  if (state.text) query.set("q", state.text);
  for (const name of [...Object.keys(CHOICES), "outcome"])
    if (state[name]) query.set(name, state[name]);
  if (state.sort) query.set("sort", state.sort);
  if (state.sort && state.down) query.set("order", "down");
  const text = query.toString();
  return `#/relaxations${text ? `?${text}` : ""}`;
}

function filtered(state) {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const choices = Object.entries(CHOICES).filter(([name]) => state[name]);
  const outcome = state.outcome ? OUTCOMES[state.outcome][1] : () => true;
  return relaxations.filter(
    (row) =>
      choices.every(([name, field]) => row[field] === state[name]) &&
      outcome(row) &&
      words.every((each) => haystack(row).includes(each)),
  );
}

// Numbers by size, words by the alphabet with the numbers in them by size; what is not known last.
function sorted(rows, state) {
  const column = COLUMNS.find(({ key }) => key === state.sort);
  if (!column) return rows;
  const known = [];
  const unknown = [];
  for (const row of rows) {
    const value = valueOf(column, row);
    if (value === null || value === undefined) unknown.push(row);
    else known.push([value, row]);
  }
  const order =
    known.length && typeof known[0][0] === "string" ? byText : (one, other) => one - other;
  const turn = state.down ? -1 : 1;
  known.sort((one, other) => turn * order(one[0], other[0]));
  return [...known.map(([, row]) => row), ...unknown];
}

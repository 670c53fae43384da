// The page with the table of all relaxations, and what narrows it down.

const leftAt = { path: null, top: 0 };

function chooser(title, values, chosen, onChange) {
  const options = [["", "all"], ...values].map(([value, text]) =>
    make("option", { value, selected: value === chosen }, text),
  );
  const select = make("select", { on: { change: () => onChange(select.value) } }, ...options);
  return make("label", {}, title, select);
}

function showRelaxations(main, query, signal) {
  const state = readState(query);
  const heading = make("h1", { tabindex: "-1" }, "Relaxations");
  const number = make("p", { class: "count", role: "status" });
  let rows = [];
  const table = bigTable({
    signal,
    onSort(key) {
      state.down = state.sort === key && !state.down;
      state.sort = key;
      update();
    },
  });
  const search = make("input", {
    type: "search",
    value: state.text,
    placeholder: "system, formula, tag …",
    spellcheck: "false",
    on: {
      input: () => {
        state.text = search.value;
        update();
      },
    },
  });

  function update(top = 0) {
    rows = sorted(filtered(state), state);
    number.textContent =
      rows.length === relaxations.length
        ? many(rows.length, "relaxation")
        : `${count(rows.length)} of ${many(relaxations.length, "relaxation")}`;
    history.replaceState(null, "", writeState(state));
    table.show(rows, state, top);
  }

  const choosers = () =>
    [
      ...Object.entries(CHOICES).map(([name, field]) => [
        name,
        offered(field).map((value) => [value, value]),
      ]),
      ["outcome", Object.entries(OUTCOMES).map(([value, [text]]) => [value, text])],
    ]
      .filter(([, values]) => values.length > 1)
      .map(([name, values]) =>
        chooser(name[0].toUpperCase() + name.slice(1), values, state[name], (value) => {
          state[name] = value;
          update();
        }),
      );
  const filters = make(
    "form",
    { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    make("label", {}, "Text", search),
    ...choosers(),
    make(
      "button",
      {
        type: "button",
        class: "button",
        on: {
          click: () => {
            location.hash = "#/relaxations";
          },
        },
      },
      "Clear",
    ),
    make(
      "button",
      {
        type: "button",
        class: "button",
        on: {
          click: () =>
            download("relaxations.csv", "text/csv;charset=utf-8", `\ufeff${csvOf(rows)}`),
        },
      },
      "Download as CSV",
    ),
  );
  main.replaceChildren(heading, filters, number, table.element);
  const path = writeState(state);
  update(leftAt.path === path ? leftAt.top : 0);
  signal.addEventListener("abort", () => {
    Object.assign(leftAt, { path: writeState(state), top: table.element.scrollTop });
  });
  return { heading, title: "Relaxations" };
}

// What a reader turns and presses beside a structure.

const CONTROLS =
  "Drag or arrow keys rotate; + and − zoom, and the wheel does once the picture is clicked.";

// Before that, the wheel scrolls the page.
function listenTo(canvas, { rotate, zoomBy, sayAtom }) {
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) {
      sayAtom(event);
      return;
    }
    rotate((event.clientX - held[0]) * 0.01, (event.clientY - held[1]) * 0.01);
    held = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      held = null;
    });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      zoomBy(Math.exp(-0.0015 * event.deltaY));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const turns = {
      ArrowLeft: [-0.1, 0],
      ArrowRight: [0.1, 0],
      ArrowUp: [0, -0.1],
      ArrowDown: [0, 0.1],
    };
    if (event.key in turns) rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") zoomBy(1.2);
    else if (event.key === "-") zoomBy(1 / 1.2);
    else return;
    event.preventDefault();
  });
}

// Colours of the elements that a structure has.
function elementLegend(symbols) {
  return make(
    "div",
    { class: "legend" },
    ...[...new Set(symbols)].map((symbol) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = study.elements[symbol].color;
      return make("span", {}, swatch, symbol);
    }),
    make("span", { class: "muted" }, "pale: fixed; dark edge: adsorbate"),
  );
}

// Buttons of which one is pressed; `choices` are [name, action], the first of them chosen.
function switches(choices, begin = 0) {
  const buttons = choices.map(([name, action]) =>
    make(
      "button",
      {
        type: "button",
        class: "button",
        "aria-pressed": "false",
        on: {
          click: (event) => {
            for (const each of buttons)
              each.setAttribute("aria-pressed", String(each === event.currentTarget));
            action();
          },
        },
      },
      name,
    ),
  );
  buttons[begin]?.click();
  return buttons;
}

function viewButtons(view) {
  const button = (name, title, action) =>
    make("button", { type: "button", class: "button", title, on: { click: action } }, name);
  return [
    button("Side", "Look from the side", () => view.turn(FROM_SIDE)),
    button("Top", "Look from above", () => view.turn(FROM_TOP)),
    button("+", "Nearer", () => view.zoomBy(1.25)),
    button("−", "Farther", () => view.zoomBy(0.8)),
  ];
}

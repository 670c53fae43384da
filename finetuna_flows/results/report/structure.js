// Atoms in three dimensions on a canvas: balls of covalent radius from far to near, the cell's
// edges among them. No WebGL, so that it draws, prints and fits everywhere.

const EDGE_PIECES = 10;
const FIXED = 0.62;

function mixed(color, other, share) {
  const parts = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  const [one, two] = [parts(color), parts(other)];
  return `#${one
    .map((part, i) =>
      Math.round(part + share * (two[i] - part))
        .toString(16)
        .padStart(2, "0"),
    )
    .join("")}`;
}

function along(from, to, share) {
  return from.map((part, axis_) => part + share * (to[axis_] - part));
}

// The twelve edges of a cell, in pieces that can be sorted by depth like atoms.
function edgesOf(cell) {
  if (!cell) return [];
  const corner = (i, j, k) =>
    [0, 1, 2].map((axis_) => i * cell[0][axis_] + j * cell[1][axis_] + k * cell[2][axis_]);
  const ends = [];
  for (const [p, q] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]) {
    ends.push(
      [corner(0, p, q), corner(1, p, q)],
      [corner(p, 0, q), corner(p, 1, q)],
      [corner(p, q, 0), corner(p, q, 1)],
    );
  }
  return ends.flatMap(([from, to]) =>
    Array.from({ length: EDGE_PIECES }, (_, piece) => [
      along(from, to, piece / EDGE_PIECES),
      along(from, to, (piece + 1) / EDGE_PIECES),
    ]),
  );
}

// What a canvas shows: {solid, ghost} are lists of positions in Å; ways lead from ghost to solid.
function structureView({ atoms, label, signal }) {
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": label });
  const said = make("p", { class: "said" });
  const edges = edgesOf(atoms.cell);
  const fixed = new Set(atoms.fixed);
  const adsorbate = new Set(atoms.adsorbate);
  const middle = [0, 1, 2].map((axis_) => {
    const values = atoms.start.map((position) => position[axis_]);
    return (Math.min(...values) + Math.max(...values)) / 2;
  });
  const reach =
    1.5 +
    Math.max(
      ...atoms.start.map((position) => Math.hypot(...position.map((part, i) => part - middle[i]))),
    );
  const view = { rotation: FROM_SIDE, zoom: 1, solid: atoms.end, ghost: null };
  let balls = [];
  let waiting = false;

  function projection() {
    const scale = (view.zoom * Math.min(canvas.clientWidth, canvas.clientHeight)) / (2 * reach);
    const [x, y] = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    return {
      scale,
      place(position) {
        const [right, up, near] = turned(
          view.rotation,
          position.map((part, i) => part - middle[i]),
        );
        return { x: x + scale * right, y: y - scale * up, depth: near };
      },
    };
  }

  function ballsOf(positions, { ghost, project }) {
    return positions.map((position, index) => {
      const { color, radius } = study.elements[atoms.symbols[index]];
      const pale = fixed.has(index) ? mixed(color, tone("back"), FIXED) : color;
      const r = 0.88 * radius * project.scale;
      return { ...project.place(position), index, r, color: pale, ghost, kind: "ball" };
    });
  }

  function drawBall(pen, { x, y, r, color, ghost, index }) {
    const shade = pen.createRadialGradient(x - 0.35 * r, y - 0.4 * r, 0.05 * r, x, y, r);
    shade.addColorStop(0, mixed(color, "#ffffff", 0.65));
    shade.addColorStop(0.45, color);
    shade.addColorStop(1, mixed(color, "#000000", 0.35));
    pen.globalAlpha = ghost ? 0.3 : 1;
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fillStyle = shade;
    pen.fill();
    pen.lineWidth = adsorbate.has(index) ? 1.8 : 0.8;
    pen.strokeStyle = adsorbate.has(index) ? tone("text") : mixed(color, "#000000", 0.5);
    if (ghost) pen.setLineDash([3, 2]);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  function drawLine(pen, { from, to, color, width }) {
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.stroke();
  }

  function draw() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    const project = projection();
    balls = ballsOf(view.solid, { ghost: false, project });
    const items = [...balls];
    const lines = edges.map(([from, to]) => ({ from, to, color: tone("strong-line"), width: 1 }));
    if (view.ghost) {
      items.push(...ballsOf(view.ghost, { ghost: true, project }));
      view.solid.forEach((to, index) =>
        lines.push({ from: view.ghost[index], to, color: tone("text"), width: 1.6 }),
      );
    }
    for (const { from, to, color, width } of lines) {
      const [one, two] = [project.place(from), project.place(to)];
      items.push({
        from: one,
        to: two,
        depth: (one.depth + two.depth) / 2,
        color,
        width,
        kind: "line",
      });
    }
    items.sort((one, other) => one.depth - other.depth);
    for (const item of items) (item.kind === "ball" ? drawBall : drawLine)(pen, item);
    canvas.dataset.drawn = String(items.length);
  }

  function redraw() {
    if (waiting || signal.aborted) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function rotate(right, up) {
    view.rotation = product(product(aboutX(up), aboutY(right)), view.rotation);
    redraw();
  }

  function zoomBy(factor) {
    view.zoom = Math.min(12, Math.max(0.2, view.zoom * factor));
    redraw();
  }

  // The topmost atom under the pointer, in words.
  function sayAtom(event) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const hit = balls
      .filter((ball) => Math.hypot(ball.x - x, ball.y - y) <= ball.r)
      .sort((one, other) => other.depth - one.depth)[0];
    if (!hit) {
      said.textContent = "";
      return;
    }
    const way = Math.hypot(
      ...atoms.end[hit.index].map((part, i) => part - atoms.start[hit.index][i]),
    );
    const words = [
      adsorbate.has(hit.index) ? "adsorbate" : "",
      fixed.has(hit.index) ? "fixed" : `moved ${decimals(way, 2)} Å`,
    ];
    const told = words.filter(Boolean).join(", ");
    said.textContent = `${atoms.symbols[hit.index]}, atom ${hit.index}: ${told}`;
  }

  listenTo(canvas, { rotate, zoomBy, sayAtom });
  dark.addEventListener("change", redraw, { signal });
  for (const event of ["beforeprint", "afterprint"])
    window.addEventListener(event, draw, { signal });
  const resized = new ResizeObserver(redraw);
  resized.observe(canvas);
  signal.addEventListener("abort", () => resized.disconnect());
  return {
    canvas,
    said,
    zoomBy,
    show(solid, ghost = null) {
      Object.assign(view, { solid, ghost });
      redraw();
    },
    turn(rotation) {
      Object.assign(view, { rotation, zoom: 1 });
      redraw();
    },
  };
}

// Rotations as 3×3 matrices, rows first; screen axes are x to the right, y up, z to the reader.

function product(one, other) {
  return one.map((row) =>
    [0, 1, 2].map((k) => row[0] * other[0][k] + row[1] * other[1][k] + row[2] * other[2][k]),
  );
}

function turned(matrix, [x, y, z]) {
  return matrix.map((row) => row[0] * x + row[1] * y + row[2] * z);
}

function aboutX(angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [
    [1, 0, 0],
    [0, c, -s],
    [0, s, c],
  ];
}

function aboutY(angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [
    [c, 0, s],
    [0, 1, 0],
    [-s, 0, c],
  ];
}

// The z axis of a slab up the screen, a little from above and from the side.
const FROM_SIDE = product(
  aboutX(0.22),
  product(aboutY(-0.3), [
    [1, 0, 0],
    [0, 0, 1],
    [0, -1, 0],
  ]),
);
const FROM_TOP = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

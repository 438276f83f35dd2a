const dark = matchMedia("(prefers-color-scheme: dark)");
const config = { displayModeBar: false, doubleClick: false, responsive: true, showTips: false };

async function draw() {
  const theme = dark.matches ? "dark" : "light";
  const figures = JSON.parse(document.getElementById("figures").textContent)[theme];
  for (const [name, figure] of Object.entries(figures)) {
    await Plotly.react(`chart-${name}`, figure.data, figure.layout, config);
  }
  document.documentElement.dataset.drawn = theme;
}

dark.addEventListener("change", draw);
draw();

// Okabe and Ito's eight colours, which colour-blind people tell apart; the ninth service on is striped.
// The colours themselves stand in styles/waterfall.css.
const COLOURS = 8;

export function serviceClass(services: string[], service: string): string {
  const index = Math.max(0, services.indexOf(service));
  return `colour-${index % COLOURS}${index >= COLOURS ? " striped" : ""}`;
}

// The same for a canvas.
export function serviceColour(services: string[], service: string): string {
  const index = Math.max(0, services.indexOf(service)) % COLOURS;
  return getComputedStyle(document.documentElement).getPropertyValue(`--okabe-${index}`);
}

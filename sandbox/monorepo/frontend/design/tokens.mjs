// Turns design/tokens.json into CSS variables: src/tokens.css.
import { readFileSync, writeFileSync } from 'node:fs';

const tokens = JSON.parse(readFileSync(new URL('tokens.json', import.meta.url), 'utf8'));
const lines = (scheme) =>
  Object.entries(tokens).flatMap(([group, values]) =>
    Object.entries(values)
      .filter(([, value]) => scheme === 'light' || typeof value === 'object')
      .map(([name, value]) => `  --${group}-${name}: ${typeof value === 'object' ? value[scheme] : value};`),
  );
const css = `:root {\n${lines('light').join('\n')}\n}\n@media (prefers-color-scheme: dark) {\n:root {\n${lines('dark').join('\n')}\n}\n}\n`;
writeFileSync(new URL('../src/tokens.css', import.meta.url), css);

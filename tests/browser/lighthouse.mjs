// Runs Lighthouse in one process: node takes longer to load it than to use it.
// Arguments: the entry point of the package, the port of a Chromium, and Lighthouse's flags (JSON).
// Each line of input is {"url": …, "categories": […], "slowdown": …}; each line of output is the
// report.
import { createInterface } from "node:readline";

const [entry, port, flags] = process.argv.slice(2);
const { default: lighthouse } = await import(entry);
for await (const line of createInterface({ input: process.stdin })) {
  const { url, categories, slowdown } = JSON.parse(line);
  let answer;
  try {
    const { lhr } = await lighthouse(url, {
      ...JSON.parse(flags),
      onlyCategories: categories,
      output: "json",
      port: Number(port),
      throttling: { cpuSlowdownMultiplier: slowdown },
    });
    answer = lhr.runtimeError ? { error: lhr.runtimeError.message } : lhr;
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}

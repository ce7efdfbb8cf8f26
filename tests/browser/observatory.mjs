// Runs MDN's HTTP Observatory once, and prints its report.
// Arguments: the scanner in the package, a domain, and its ports for http and https on loopback.
import { writeFileSync } from "node:fs";
import { Socket } from "node:net";

const [entry, domain, http, https] = process.argv.slice(2);

// The install script of the package, which does not run here, would download the list of
// preloaded domains. Ours is not one of them.
writeFileSync(new URL("../../conf/hsts-preload.json", entry), "{}");

// The scanner knows no ports but 80 and 443, and takes an address for a domain.
const ports = { 80: http, 443: https };
const { connect } = Socket.prototype;
Socket.prototype.connect = function (...given) {
  const [options] = given.flat();
  if (options.host !== domain) throw new Error(`it connects to ${options.host}`);
  Object.assign(options, { host: "127.0.0.1", port: ports[options.port] });
  return connect.apply(this, given);
};

const { scan } = await import(entry);
console.log(JSON.stringify(await scan(domain)));

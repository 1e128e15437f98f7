// Starts `spanring serve` over the demo's database, and ends it.
import { spawn } from "node:child_process";

export async function serve(program, environment = {}) {
  const server = spawn(program, ["serve", "-d", "spanring_demo", "--port", "0"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (data) => {
      said += data;
      const found = said.match(/(http:\/\/\S+?)\/\s/);
      if (found) resolve(found[1]);
    });
    server.on("exit", (code) => reject(new Error(`spanring serve ended with ${code}`)));
  });
  return { url, stop: () => server.kill() };
}

// Reads its parameters from the file that ATTUNE_PARAMETER_FILE names, and writes text.
const parameters = JSON.parse(require("node:fs").readFileSync(process.env.ATTUNE_PARAMETER_FILE, "utf8"));
console.log(`# ${parameters.title}\n\nFullest: ${parameters.fullest.path} (${parameters.fullest.percent} %)`);

#!/usr/bin/env node
// The `touchstone` binary: hands the arguments to the program and takes its exit code.
// Older ones end in a segmentation fault of the database without a word.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 14)) {
  process.stderr.write(
    `touchstone: this is Node.js ${process.versions.node}\n  what to do: run it on 22.14 or newer\n`,
  );
  process.exit(3);
}

// A reader that went away (`touchstone device list | head`) is no failure of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

const argv = process.argv.slice(2);
const started = argv[0] === 'agent' ? await (await import('./agent-start.ts')).startAgent(argv.slice(1)) : null;
// Not process.exit(): what is still being written or closed may end.
process.exitCode = started ?? (await (await import('./program.ts')).runProgram(argv));

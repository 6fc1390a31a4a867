#!/usr/bin/env node
// The `touchstone` binary: hands the arguments to the program and takes its exit code.
import { runProgram } from './program.ts';

// A reader that went away (`touchstone device list | head`) is no failure of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

// Not process.exit(): what is still being written or closed may end.
process.exitCode = await runProgram(process.argv.slice(2));

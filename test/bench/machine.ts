// The machine in a line: without it no figure means anything.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';

function system(): string {
  const name = /^PRETTY_NAME="(?<name>.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.groups?.['name'];
  return name ?? 'unknown system';
}

export function machine(): string {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown processor';
  const openssl = execFileSync('openssl', ['version'], { encoding: 'utf8' }).split(' ', 2).join(' ');
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${availableParallelism()} × ${cpu}, ${memory}, ${system()}, Linux ${release()} ${arch()}, Node ${process.versions.node}, ${openssl}`;
}

// A guard over a private folder: whatever ends its owner, SIGKILL too, ends every process that works in the folder, and removes it.
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/**
 * Reads what only the owner can write: a word releases the guard, the end of the input says that the owner has died. Processes are found by
 * their working folder, which no pid list could go stale about; a child that was being started is found in the next round.
 */
const SCRIPT = `read -r word && exit 0
for round in 1 2 3 4 5; do
  found=
  for cwd in /proc/[0-9]*/cwd; do
    case "$(readlink "$cwd" 2>/dev/null)" in
      "$1" | "$1/"* | "$1 (deleted)") pid=\${cwd#/proc/}; kill -9 "\${pid%/cwd}" 2>/dev/null && found=1 ;;
    esac
  done
  [ -z "$found" ] && break
done
chmod -R u+w -- "$1" 2>/dev/null
rm -rf -- "$1"`;

export class Guard {
  readonly #child: ChildProcessByStdio<Writable, null, null>;

  /** `dir`: absolute, without symbolic links, and of nobody else: a stranger who works in it would be killed. */
  constructor(dir: string) {
    // A session of its own: neither Ctrl-C nor a signal to the owner's process group reaches it.
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'touchstone-guard', dir], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // Where there is no shell there is no guard, and everything else works.
    this.#child.on('error', () => undefined);
    this.#child.stdin.on('error', () => undefined);
    this.#child.unref();
    (this.#child.stdin as Writable & { unref?: () => void }).unref?.();
  }

  /** The folder is left as it is from now on. */
  async release(): Promise<void> {
    await this.#end('released\n');
  }

  /** Ends whatever still works in the folder, and removes it. */
  async sweep(): Promise<void> {
    await this.#end('');
  }

  async #end(word: string): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.#child.ref();
    const gone = once(this.#child, 'exit');
    this.#child.stdin.end(word);
    await gone;
  }
}

// The archive that Linux unpacks as its first file system: cpio in the "new ASCII" format, written without a temporary tree.
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** File types of st_mode. */
const DIRECTORY = 0o040000;
const REGULAR = 0o100000;

/** Writes archive members in order; folders above a member are made by themselves. `close` ends the archive. */
export class CpioWriter {
  readonly #file: FileHandle;
  readonly #folders = new Set(['/']);
  #inode = 1;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<CpioWriter> {
    return new CpioWriter(await open(path, 'w'));
  }

  async #member(path: string, mode: number, content: Uint8Array): Promise<void> {
    const name = path.slice(1);
    // magic, then ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check.
    const numbers = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
    const head = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}${name}\0`;
    const padTo4 = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
    const named = Buffer.from(head);
    await this.#file.writev([named, padTo4(named.length), content, padTo4(content.length)]);
  }

  async folder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    this.#folders.add(path);
    await this.folder(dirname(path));
    await this.#member(path, DIRECTORY | 0o755, new Uint8Array());
  }

  /** A file with this content; `mode` are the permission bits. */
  async file(path: string, content: Uint8Array | string, mode = 0o644): Promise<void> {
    await this.folder(dirname(path));
    await this.#member(path, REGULAR | mode, Buffer.from(content));
  }

  /** A file of this machine, under the same or another name, with its own or the given permissions. */
  async copy(from: string, to: string = from, mode?: number): Promise<void> {
    await this.file(to, await readFile(from), mode ?? (await stat(from)).mode & 0o777);
  }

  async close(): Promise<void> {
    await this.#member('/TRAILER!!!', 0, new Uint8Array());
    await this.#file.close();
  }
}

// Takes one check out of a list in the source text, which is then run instead of what is on the disk.

/** Environment variable that names the mutant: FILE:LIST:POSITION. */
export const MUTANT_VARIABLE = 'TOUCHSTONE_MUTANT';

export interface Mutant {
  readonly file: string;
  readonly list: string;
  /** Of the check, from 0. */
  readonly position: number;
}

export function mutantText({ file, list, position }: Mutant): string {
  return `${file}:${list}:${position}`;
}

/** Errors: TypeError for anything that `mutantText` did not write. */
export function parseMutant(text: string): Mutant {
  const [file, list, position] = text.split(':');
  if (file === undefined || list === undefined || !/^\d+$/.test(position ?? ''))
    throw new TypeError(`no mutant: ${text}`);
  return { file, list, position: Number(position) };
}

/** `source` with the list's check at the position left out. Errors: TypeError when there is no such list. */
export function withoutCheck(source: string, { list, position }: Mutant): string {
  const declared = new RegExp(String.raw`^export const ${list}\b`, 'm');
  if (!declared.test(source)) throw new TypeError(`no list ${list} is exported`);
  const whole = source.replace(declared, `const whole_${list}`);
  const rest = `Array.isArray(whole_${list})
  ? whole_${list}.filter((_, at) => at !== ${position})
  : Object.fromEntries(Object.entries(whole_${list}).filter((_, at) => at !== ${position}))`;
  return `${whole}\nexport const ${list} = (${rest}) as typeof whole_${list};\n`;
}

// `touchstone completion bash|zsh|fish`: scripts generated from the command tree, so that they cannot fall behind it.
import { Argument, Command } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

/** One place of the tree: the words typed so far, and what may follow. */
export interface Place {
  readonly path: string;
  readonly subcommands: readonly { name: string; summary: string }[];
  readonly options: readonly { flag: string; summary: string; takesValue: boolean }[];
}

/** Every place of a command tree, the root with path ''. */
export function placesOf(command: Command, path = ''): Place[] {
  const options = command.options
    .filter((option) => !option.hidden && option.long !== undefined && option.long !== null)
    .map((option) => ({
      flag: option.long ?? '',
      summary: option.description,
      takesValue: option.required || option.optional,
    }));
  options.push({ flag: '--help', summary: 'display help for command', takesValue: false });
  const subcommands = command.commands.map((child) => ({
    name: child.name(),
    summary: child.summary() === '' ? child.description() : child.summary(),
  }));
  const deeper = command.commands.flatMap((child) => placesOf(child, `${path} ${child.name()}`.trim()));
  return [{ path, subcommands, options }, ...deeper];
}

function wordsOf(place: Place): string {
  return [...place.subcommands.map((child) => child.name), ...place.options.map((option) => option.flag)].join(' ');
}

/** In single quotes for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function bashScript(places: readonly Place[]): string {
  const cases = places.map((place) => `    ${quoted(place.path)}) words=${quoted(wordsOf(place))} ;;`);
  const known = places.filter((place) => place.path !== '').map((place) => quoted(place.path));
  return `# bash completion for touchstone; load it with: source <(touchstone completion bash)
_touchstone() {
  local current=\${COMP_WORDS[COMP_CWORD]} path= next= words= word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    next=\${path:+$path }$word
    case $next in
    ${known.length === 0 ? "''" : known.join('|')}) path=$next ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _touchstone touchstone
`;
}

function zshScript(places: readonly Place[]): string {
  const described = (name: string, summary: string): string =>
    quoted(`${name}:${summary.replaceAll(':', String.raw`\:`)}`);
  const cases = places.map((place) => {
    const words = [
      ...place.subcommands.map((child) => described(child.name, child.summary)),
      ...place.options.map((option) => described(option.flag, option.summary)),
    ];
    return `    ${quoted(place.path)}) choices=(${words.join(' ')}) ;;`;
  });
  const known = places.filter((place) => place.path !== '').map((place) => quoted(place.path));
  return `#compdef touchstone
# zsh completion for touchstone; load it with: source <(touchstone completion zsh)
_touchstone() {
  local place= next= word
  local -a choices
  for word in \${words[2,CURRENT-1]}; do
    next="\${place:+$place }$word"
    case $next in
    ${known.length === 0 ? "''" : known.join('|')}) place=$next ;;
    esac
  done
  case $place in
${cases.join('\n')}
  esac
  _describe -t commands touchstone choices
  _files
}
compdef _touchstone touchstone
`;
}

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const at = `-n ${quoted(`__touchstone_at ${quoted(place.path)}`)}`;
    return [
      ...place.subcommands.map(
        (child) => `complete -c touchstone -f ${at} -a ${quoted(child.name)} -d ${quoted(child.summary)}`,
      ),
      ...place.options.map(
        (option) =>
          `complete -c touchstone ${at} -l ${option.flag.slice(2)}${option.takesValue ? ' -r' : ''} -d ${quoted(option.summary)}`,
      ),
    ];
  });
  const known = places.filter((place) => place.path !== '').map((place) => quoted(place.path));
  return `# fish completion for touchstone; load it with: touchstone completion fish | source
function __touchstone_at
  set -l place
  for word in (commandline -opc)[2..]
    set -l next (string join ' ' -- $place $word)
    if contains -- $next ${known.join(' ')}
      set place $next
    end
  end
  test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

const SCRIPTS: Record<Shell, (places: readonly Place[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** The completion script of `shell` for the tree under `program`. */
export function completionScript(shell: Shell, program: Command): string {
  return SCRIPTS[shell](placesOf(program));
}

/** `wholeTree` gives the program whose commands are completed. */
export function completionCommand(wholeTree: () => Promise<Command>): Command {
  return new Command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS)))
    .action(async (shell: Shell) => {
      process.stdout.write(completionScript(shell, await wholeTree()));
    });
}

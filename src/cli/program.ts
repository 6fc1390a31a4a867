// Builds the program for one call and runs it: only the module of the command that was asked for is loaded.
import { Command, CommanderError, Option } from 'commander';
import { EXIT } from './exit.ts';
import { type CommandEntry, COMMANDS } from './commands.ts';
import { reportFailure } from './failure.ts';
import { packageVersion } from './version.ts';

function jsonOption(): Option {
  return new Option('--json', 'print one JSON document on stdout');
}

/** Gives a command made by `new Command()` what it would have inherited, and --json, down its whole tree. */
function adopt(parent: Command, child: Command): void {
  child.copyInheritedSettings(parent);
  if (!child.options.some((option) => option.long === '--json')) child.addOption(jsonOption());
  for (const grandchild of child.commands) adopt(child, grandchild);
}

/** Under the entry's heading of the help, if it has one. */
function inGroup(command: Command, { group }: CommandEntry): Command {
  return group === undefined ? command : command.helpGroup(group);
}

/** The program without commands: options that every command takes, help, and errors thrown instead of exits. */
function emptyProgram(): Command {
  return (
    new Command('touchstone')
      .description('Proves with a TPM that every edge device of a fleet runs exactly the AI models its owner signed.')
      .version(packageVersion(), '-V, --version', 'print the version')
      .addOption(jsonOption())
      // Options belong to the command they follow: `release make --version 2` is not a question for our own version.
      .enablePositionalOptions()
      .commandsGroup('More:')
      .helpCommand(true)
      .showHelpAfterError('(see --help)')
      .addHelpText(
        'after',
        '\nExit codes: 0 done or trusted, 1 a judgement against, 2 wrong usage, 3 the operation failed.',
      )
      .exitOverride()
  );
}

/** The program with the whole tree of `entries` loaded: for the completion scripts and the tests of the tree. */
export async function fullProgram(entries: readonly CommandEntry[] = COMMANDS): Promise<Command> {
  const program = emptyProgram();
  for (const entry of entries) {
    const command = await entry.load(async () => fullProgram(entries));
    adopt(program, command);
    program.addCommand(inGroup(command, entry));
  }
  return program;
}

/** The name that decides which module is loaded: the first argument that is no option; after `help`, the next. */
function askedFor(argv: readonly string[]): string | undefined {
  const words = argv.filter((word) => !word.startsWith('-'));
  return words[0] === 'help' ? words[1] : words[0];
}

async function programFor(argv: readonly string[], entries: readonly CommandEntry[]): Promise<Command> {
  const program = emptyProgram();
  const asked = askedFor(argv);
  for (const entry of entries) {
    if (entry.name === asked) {
      const command = await entry.load(async () => fullProgram(entries));
      command.summary(entry.summary);
      adopt(program, command);
      program.addCommand(inGroup(command, entry));
    } else {
      inGroup(program.command(entry.name), entry).summary(entry.summary).description(entry.summary);
    }
  }
  return program;
}

/** Runs one call. Never throws and never exits: whatever went wrong was printed, and is the number that comes back. */
export async function runProgram(
  argv: readonly string[],
  entries: readonly CommandEntry[] = COMMANDS,
): Promise<number | string> {
  try {
    const program = await programFor(argv, entries);
    await program.parseAsync([...argv], { from: 'user' });
    // An action tells a judgement against by setting process.exitCode.
    return process.exitCode ?? EXIT.done;
  } catch (error) {
    // Commander has printed its own message already; help and version come here with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportFailure(error, { json: argv.includes('--json') });
  }
}

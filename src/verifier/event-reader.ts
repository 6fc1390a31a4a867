// The content of a record as an event: quickly in its usual form, which cel/events.ts defines, else the general way.
import { choices, key, QuickCbor } from '../bytes/quick-cbor.ts';
import { EPOCH_CHANGES, MAX_DIFFERING } from '../cel/events.ts';
import type {
  AgentStartEvent,
  BootEvent,
  Components,
  DifferingFile,
  EngineEvent,
  ForeignExtensionEvent,
  LogEvent,
  SlotEvent,
} from '../cel/events.ts';
import { decodeEvent } from '../cel/record.ts';
import type { LogRecord } from './log-reader.ts';

const K = {
  agent: key('agent'),
  cause: key('cause'),
  compiler: key('compiler'),
  components: key('components'),
  configs: key('configs'),
  deviceId: key('deviceId'),
  differing: key('differing'),
  engine: key('engine'),
  expected: key('expected'),
  found: key('found'),
  gateMode: key('gateMode'),
  manifest: key('manifest'),
  more: key('more'),
  node: key('node'),
  path: key('path'),
  previous: key('previous'),
  profile: key('profile'),
  release: key('release'),
  runtime: key('runtime'),
  session: key('session'),
  slot: key('slot'),
  statement: key('statement'),
  trust: key('trust'),
  type: key('type'),
  v: key('v'),
  why: key('why'),
} as const;

const CAUSES = choices('activated', 'measured', 'changed', 'restored', 'emptied');
const PREVIOUS = choices('first', 'stopped', 'killed');
const GATE_MODES = choices('none', 'kernel');
const WHY = choices(...EPOCH_CHANGES);
const BOOT = choices('boot');
const AGENT_START = choices('agent-start');
const SLOT = choices('slot');
const ENGINE = choices('engine');
const ENGINE_CAUSES = choices('compiled', 'measured');
const FOREIGN = choices('foreign-extension');

function quickDiffering(from: QuickCbor): DifferingFile {
  from.map(3);
  return {
    path: from.key(K.path).text(4096),
    found: from.key(K.found).bytesOrNull(32),
    expected: from.key(K.expected).bytesOrNull(32),
  };
}

function quickComponents(from: QuickCbor): Components {
  from.map(6);
  return {
    node: from.key(K.node).bytes(32),
    agent: from.key(K.agent).bytes(32),
    trust: from.key(K.trust).bytes(32),
    profile: from.key(K.profile).bytes(32),
    runtime: from.key(K.runtime).bytesOrNull(32),
    gateMode: from.key(K.gateMode).oneOf(GATE_MODES),
  };
}

function quickSlot(from: QuickCbor): SlotEvent {
  return {
    v: from.key(K.v).one(),
    more: from.key(K.more).uint(),
    slot: from.key(K.slot).text(64),
    type: from.key(K.type).oneOf(SLOT),
    cause: from.key(K.cause).oneOf(CAUSES),
    configs: from.key(K.configs).bytesOrNull(32),
    release: from.key(K.release).bytesOrNull(32),
    manifest: from.key(K.manifest).bytes(32),
    differing: from.key(K.differing).list(MAX_DIFFERING, quickDiffering),
    statement: from.key(K.statement).bytesOrNull(32),
  };
}

function quickBoot(from: QuickCbor): BootEvent {
  return {
    v: 1,
    why: from.key(K.why).oneOf(WHY),
    type: from.key(K.type).oneOf(BOOT),
    deviceId: from.key(K.deviceId).text(64),
    components: quickComponents(from.key(K.components)),
  };
}

function quickAgentStart(from: QuickCbor): AgentStartEvent {
  return {
    v: 1,
    type: from.key(K.type).oneOf(AGENT_START),
    session: from.key(K.session).bytes(16),
    previous: from.key(K.previous).oneOf(PREVIOUS),
    components: quickComponents(from.key(K.components)),
  };
}

function quickEngine(from: QuickCbor): EngineEvent {
  return {
    v: from.key(K.v).one(),
    slot: from.key(K.slot).text(64),
    type: from.key(K.type).oneOf(ENGINE),
    cause: from.key(K.cause).oneOf(ENGINE_CAUSES),
    engine: from.key(K.engine).bytesOrNull(32),
    compiler: from.key(K.compiler).bytes(32),
    statement: from.key(K.statement).bytes(32),
  };
}

function quickForeign(from: QuickCbor): ForeignExtensionEvent {
  return {
    v: from.key(K.v).one(),
    type: from.key(K.type).oneOf(FOREIGN),
    found: from.key(K.found).bytes(32),
    expected: from.key(K.expected).bytes(32),
  };
}

/** The number of fields, and for five of them the second field's name, tell the type. */
export function quickEvent(from: QuickCbor): LogEvent {
  const size = from.mapSize();
  if (size === 10) return quickSlot(from);
  if (size === 4) return quickForeign(from);
  if (size === 7) return quickEngine(from);
  if (size !== 5) from.miss();
  from.key(K.v).one();
  return from.isAt(K.why) ? quickBoot(from) : quickAgentStart(from);
}

/** The events of all records of `log`. Errors: WireError, also for types and versions that we do not know. */
export function readEvents(log: Uint8Array, records: readonly LogRecord[]): LogEvent[] {
  const from = new QuickCbor(log);
  return records.map(({ at, content }) => from.within(at, at + content.length, quickEvent) ?? decodeEvent(content));
}

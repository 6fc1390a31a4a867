// C3, who may say what: every kind of statement by every key, every message by every sender, every control request by everybody.
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { DOWN_KINDS, downTopic, UP_KINDS, upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { CONTROLLER_NAME } from '../../src/controller/broker-config.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { openStatement, signStatement } from '../../src/protocol/statement.ts';
import type { StatementKind, Statements } from '../../src/protocol/statement.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { running, trustOf } from '../support/members.ts';

const DEVICE = 'abcdefghijklmnopqrstuvwxyz234567';
const OTHER = 'bcdefghijklmnopqrstuvwxyz234567a';
let fleet: TestFleet;
let broker: TestBroker;
let foreign: TestFleet;

beforeAll(async () => {
  [fleet, foreign] = await Promise.all([makeTestFleet(), makeTestFleet()]);
  broker = await fleet.startBroker();
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
  await foreign[Symbol.asyncDispose]();
});

const vector = (name: string): unknown =>
  (JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as { value: unknown }).value;
const STATEMENTS: { readonly [K in StatementKind]: Statements[K] } = {
  result: vector('result') as Statements['result'],
  command: vector('command-install') as Statements['command'],
  instruction: vector('instruction') as Statements['instruction'],
  endorsement: vector('endorsement') as Statements['endorsement'],
};

describe('a statement', () => {
  /** Every private key that a fleet has, and those of strangers. */
  const keys = (): Record<string, KeyObject> => ({
    result: fleet.key('controller/keys/result.key.pem'),
    operator: fleet.key('controller/keys/operator.key.pem'),
    authority: fleet.key('controller/keys/ca.key.pem'),
    publisher: fleet.publisherKey,
    floor: fleet.key('root/floor.key.pem'),
    root: fleet.key('root/root-1.key.pem'),
    'result key of another fleet': foreign.key('controller/keys/result.key.pem'),
    stranger: generateKey('p256').privateKey,
  });

  test.each(['result', 'command', 'instruction', 'endorsement'] as const)(
    '%s is believed of its one key, and as nothing else',
    (kind) => {
      const isWish = kind === 'command' || kind === 'instruction';
      const { resultKeys, operatorKeys } = trustOf(fleet);
      const who = Object.entries(keys()).filter(([, key]) => {
        const bytes = Buffer.from(signStatement(kind, STATEMENTS[kind], key));
        return openStatement(kind, bytes, isWish ? operatorKeys : resultKeys) !== null;
      });
      expect(who.map(([name]) => name)).toEqual([isWish ? 'operator' : 'result']);
      const good = Buffer.from(signStatement(kind, STATEMENTS[kind], who[0]?.[1] as KeyObject));
      const all = new Map([...resultKeys, ...operatorKeys]);
      const opened = (Object.keys(STATEMENTS) as StatementKind[]).filter((as) => openStatement(as, good, all) !== null);
      expect(opened).toEqual([kind]);
    },
  );
});

/** Everybody who can reach the broker, by the certificate that he has. */
async function everybody(): Promise<Record<string, Bus>> {
  const open = async (url: string, name: string | null): Promise<Bus> => {
    const certificate = name === null ? {} : fleet.clientCertificate(name);
    const bus = await connectMqttBus({ url, caPem: fleet.caPem, clientId: name ?? '', ...certificate });
    onTestFinished(async () => bus[Symbol.asyncDispose]());
    return bus;
  };
  return {
    controller: await open(fleet.url, CONTROLLER_NAME),
    device: await open(fleet.url, DEVICE),
    'another device': await open(fleet.url, OTHER),
    'a name that looks like one': await open(fleet.url, `${CONTROLLER_NAME}-9`),
    newcomer: await open(fleet.enrolUrl, null),
    'a device at the door for newcomers': await open(fleet.enrolUrl, DEVICE),
  };
}

const TOPICS = [
  ...DOWN_KINDS.map((kind) => downTopic(DEVICE, kind)),
  ...UP_KINDS.map((kind) => upTopic(DEVICE, kind)),
  'touchstone/2/d/x/command',
];

/** Who may, by topic; whoever is not named must not. */
function allowed(topic: string, how: 'say' | 'hear'): string[] {
  const newcomers = ['newcomer', 'a device at the door for newcomers'];
  if (topic === upTopic(DEVICE, 'enrol')) return how === 'say' ? ['device', ...newcomers] : ['controller'];
  if (topic.startsWith(`touchstone/1/c/${DEVICE}/`)) return how === 'say' ? ['device'] : ['controller'];
  // Who may sign in this fleet is no secret, and a newcomer must learn it.
  if (/\/d\/.*\/(?:enrol|root)$/.test(topic) && topic.includes(DEVICE))
    return how === 'say' ? ['controller'] : ['device', ...newcomers];
  if (topic.startsWith(`touchstone/1/d/${DEVICE}/`)) return how === 'say' ? ['controller'] : ['device'];
  return [];
}

describe('at the broker', () => {
  test('each topic is said and heard by those whom it is for, and by nobody else', async () => {
    const everyone = await everybody();
    const heard = new Map<string, string[]>();
    for (const [name, bus] of Object.entries(everyone)) {
      for (const filter of ['touchstone/1/#', 'touchstone/2/#']) {
        const take = ({ topic, payload }: { topic: string; payload: Buffer }): void => {
          const key = `${topic} from ${payload.toString()}`;
          heard.set(key, [...(heard.get(key) ?? []), name]);
        };
        await bus.subscribe(filter, take).catch(() => undefined);
      }
    }
    for (const topic of TOPICS) {
      for (const [name, bus] of Object.entries(everyone))
        await bus.publish(topic, Buffer.from(name)).catch(() => undefined);
    }
    // What the broker takes after all of it reaches each of them after all of it.
    const last = async (from: string, topic: string, to: readonly string[]): Promise<void> => {
      await everyone[from]?.publish(topic, Buffer.from('last'));
      while (!to.every((name) => heard.get(`${topic} from last`)?.includes(name) === true)) await sleep(2);
    };
    await last('another device', upTopic(OTHER, 'status'), ['controller']);
    await last('controller', downTopic(OTHER, 'result'), ['another device']);
    await last('controller', downTopic(DEVICE, 'enrol'), allowed(downTopic(DEVICE, 'enrol'), 'hear'));
    for (const topic of TOPICS) {
      const speakers = Object.keys(everyone).filter((name) => (heard.get(`${topic} from ${name}`) ?? []).length > 0);
      const listeners = new Set(speakers.flatMap((name) => heard.get(`${topic} from ${name}`) ?? []));
      expect([topic, speakers.toSorted()]).toEqual([topic, allowed(topic, 'say').toSorted()]);
      expect([topic, [...listeners].toSorted()]).toEqual([topic, allowed(topic, 'hear').toSorted()]);
    }
  });
});

describe('the control socket', () => {
  test('is no other user’s, and so is everything that it could be asked to do', async () => {
    await running(fleet);
    expect(statSync(join(fleet.controllerDir, 'control.sock')).mode & 0o777).toBe(0o600);
    expect(statSync(fleet.controllerDir).mode & 0o077).toBe(0);
  });

  test('does nothing for a web page: no GET, no other version, no name of the language', async () => {
    await running(fleet);
    const socketPath = join(fleet.controllerDir, 'control.sock');
    const asked = async (method: string, path: string, body = ''): Promise<number | undefined> => {
      const call = request({ socketPath, method, path, headers: { origin: 'https://evil.example' } });
      call.end(body);
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    for (const path of ['/v1/list', '/v1/token', '/v1/__proto__', '/v1/toString', '/v2/list', '/v1/../v1/list', '']) {
      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) expect(await asked(method, path)).toBe(404);
    }
    for (const path of ['/v1/__proto__', '/v1/toString', '/v1/hasOwnProperty', '/v2/list', '/v0/list']) {
      expect(await asked('POST', path, '{}')).toBe(404);
    }
    for (const body of [
      '',
      '[]',
      'null',
      '{"device":7}',
      '{"device":"x","device":"y"}',
      '{"device":"x","__proto__":1}',
    ]) {
      for (const action of ['approve', 'retire', 'quarantine', 'replace', 'upgrade', 'token', 'label', 'attest']) {
        expect([action, body, await asked('POST', `/v1/${action}`, body)]).toEqual([action, body, 409]);
      }
    }
  });
});

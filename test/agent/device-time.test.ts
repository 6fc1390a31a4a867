// Device time without a clock, with one at 1970, at 2040, or that jumps: what the controller signed decides, and no clock for ever.
import { beforeEach, describe, expect, test } from 'vitest';
import { DeviceTime } from '../../src/agent/device-time.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';

const DAY = 86_400_000;
const SHIPPED = Date.UTC(2026, 0, 1);
const TODAY = Date.UTC(2026, 5, 1);
const IN_2040 = Date.UTC(2040, 0, 1);

let journal: MemoryJournal;
let rtc = 0;
let running = 0;
const clock = { now: (): number => rtc, monotonic: (): number => running };
const start = async (): Promise<DeviceTime> => {
  running = 0;
  return DeviceTime.open({ journal, clock, fleetMinimum: SHIPPED });
};

beforeEach(() => {
  journal = new MemoryJournal();
  rtc = TODAY;
});

describe('the time on a device', () => {
  test('is that of its clock, when that is after what shipped and was signed', async () => {
    const time = await start();
    expect(time.now()).toBe(TODAY);
    await time.hear(TODAY - 500);
    expect(time.now()).toBe(TODAY);
  });

  test.each([
    ['no clock', 0],
    ['a clock at 1970', 70_000],
    ['a clock at 2040', IN_2040],
  ])('with %s is what shipped, then what is signed, and goes on while it runs and after a start', async (_, at) => {
    rtc = at;
    const time = await start();
    expect(time.now()).toBe(SHIPPED);
    running += 60_000;
    expect(time.now()).toBe(SHIPPED + 60_000);
    await time.hear(TODAY);
    running += 1000;
    expect(time.now()).toBe(TODAY + 1000);
    expect((await start()).now()).toBe(TODAY);
  });

  test('is not stopped by a clock that once said 2040', async () => {
    rtc = IN_2040;
    await (await start()).hear(TODAY);
    rtc = TODAY + DAY;
    expect((await start()).now()).toBe(TODAY + DAY);
  });

  test('does not go before what was signed when the clock jumps back, nor far beyond it when the clock jumps ahead', async () => {
    const time = await start();
    await time.hear(TODAY);
    running += 5000;
    rtc = TODAY - 30 * DAY;
    expect(time.now()).toBe(TODAY + 5000);
    rtc = TODAY + 20 * DAY;
    expect(time.now()).toBe(TODAY + 5000);
    rtc = TODAY + 6000;
    expect(time.now()).toBe(TODAY + 6000);
  });

  test('believes a clock after a year without power, and none after ten', async () => {
    await (await start()).hear(TODAY);
    rtc = TODAY + 365 * DAY;
    expect((await start()).now()).toBe(rtc);
    rtc = TODAY + 3650 * DAY;
    expect((await start()).now()).toBe(TODAY);
  });

  test('follows a controller whose clock was wrong once and is right again', async () => {
    const time = await start();
    await time.hear(IN_2040);
    expect(time.now()).toBe(IN_2040);
    await time.hear(TODAY);
    expect(time.now()).toBe(TODAY);
    expect((await start()).now()).toBe(TODAY);
  });

  test('is what shipped where the journal holds something else', async () => {
    await journal.put('signed-time', Buffer.from([1]));
    rtc = 0;
    expect((await start()).now()).toBe(SHIPPED);
  });
});

// touchstone/controller: speak with a running controller, or run one in a process of your own on your own registry and bus.
export { askController, followDevices } from './controller/control-client.ts';
export type { DeviceDetail, DeviceView, FindingView } from './controller/views.ts';
export { Controller } from './controller/controller.ts';
export type { ControllerParts } from './controller/controller.ts';
export type { ControllerHealth } from './controller/health.ts';
export { loadSettings } from './controller/settings.ts';
export type { Settings } from './controller/settings.ts';
export { openSqliteRegistry } from './controller/sqlite-registry.ts';
export type { Registry } from './controller/registry.ts';
export { connectMqttBus } from './bus/mqtt-bus.ts';
export type { Bus } from './bus/bus.ts';
export { systemClock } from './clock.ts';
export { lineLog } from './log.ts';
export type { Log } from './log.ts';

// The broker of the tests is the one that the product gives to its users.
export { RunningBroker as TestBroker, startBroker } from '../../src/testing/broker.ts';
export { freePorts } from '../../src/testing/free-ports.ts';

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionTone, nodeStatus, podCounts, podStatus, replicaStatus } from '../src/lib/status.js';

const ready = { type: 'Ready', status: 'True' };
const running = { name: 'main', ready: true, state: { running: {} } };
const pod = (status, { spec = { containers: [{ name: 'main' }] }, metadata = {} } = {}) => ({ metadata, spec, status });

const pods = [
  ['nothing is known', pod({}), 'Unknown', 'off'],
  ['pending', pod({ phase: 'Pending' }), 'Pending', 'busy'],
  ['has no place', pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] }), 'Pending', 'bad'],
  ['being made', pod({ phase: 'Pending', containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ContainerCreating' } } }] }), 'ContainerCreating', 'busy'],
  ['no image', pod({ phase: 'Pending', containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ErrImagePull' } } }] }), 'ErrImagePull', 'bad'],
  ['runs', pod({ phase: 'Running', conditions: [ready], containerStatuses: [running] }), 'Running', 'ok'],
  ['runs, is not ready', pod({ phase: 'Running', containerStatuses: [{ ...running, ready: false }] }), 'Running', 'busy'],
  ['crashes', pod({ phase: 'Running', containerStatuses: [{ name: 'main', state: { waiting: { reason: 'CrashLoopBackOff' } } }] }), 'CrashLoopBackOff', 'bad'],
  ['done', pod({ phase: 'Succeeded', containerStatuses: [{ name: 'main', state: { terminated: { reason: 'Completed', exitCode: 0 } } }] }), 'Completed', 'done'],
  ['killed', pod({ phase: 'Failed', containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 137, signal: 9 } } }] }), 'Signal:9', 'bad'],
  ['failed', pod({ phase: 'Failed', containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 2 } } }] }), 'ExitCode:2', 'bad'],
  ['evicted', pod({ phase: 'Failed', reason: 'Evicted' }), 'Evicted', 'bad'],
  ['leaves', pod({ phase: 'Running', conditions: [ready], containerStatuses: [running] }, { metadata: { deletionTimestamp: 'x' } }), 'Terminating', 'busy'],
  ['begins', pod({ phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { running: {} } }] }, { spec: { containers: [], initContainers: [{ name: 'i' }, { name: 'j' }] } }), 'Init:0/2', 'busy'],
  ['can not begin', pod({ phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { waiting: { reason: 'CrashLoopBackOff' } } }] }, { spec: { containers: [], initContainers: [{ name: 'i' }] } }), 'Init:CrashLoopBackOff', 'bad'],
  ['is done, its sidecar was killed', pod({ phase: 'Succeeded', conditions: [{ type: 'Initialized', status: 'True' }], containerStatuses: [{ name: 'main', state: { terminated: { reason: 'Completed', exitCode: 0 } } }], initContainerStatuses: [{ name: 'i', started: false, state: { terminated: { reason: 'Error', exitCode: 137 } } }] }, { spec: { containers: [{ name: 'main' }], initContainers: [{ name: 'i', restartPolicy: 'Always' }] } }), 'Completed', 'done'],
  ['failed beside one that is done', pod({ phase: 'Failed', containerStatuses: [{ name: 'a', state: { terminated: { reason: 'Completed', exitCode: 0 } } }, { name: 'b', state: { terminated: { reason: 'Error', exitCode: 3 } } }] }), 'Error', 'bad'],
  ['has begun', pod({ phase: 'Running', conditions: [ready], containerStatuses: [running], initContainerStatuses: [{ name: 'i', state: { terminated: { exitCode: 0 } } }] }), 'Running', 'ok'],
];

for (const [name, given, word, tone] of pods) {
  test(`a pod that ${name}`, () => assert.deepEqual(podStatus(given), { word, tone }));
}

test('sidecars are counted among the containers', () => {
  const spec = { containers: [{ name: 'main' }], initContainers: [{ name: 'side', restartPolicy: 'Always' }, { name: 'once' }] };
  const status = { containerStatuses: [{ ...running, restartCount: 2 }], initContainerStatuses: [{ name: 'side', ready: true, restartCount: 1 }, { name: 'once', ready: true, restartCount: 7 }] };
  assert.deepEqual(podCounts({ spec, status }), { ready: 2, total: 2, restarts: 3 });
});

test('replicas', () => {
  const tones = [[3, 3, 'ok'], [1, 3, 'busy'], [0, 3, 'bad'], [undefined, 0, 'off'], [4, 3, 'ok']];
  for (const [there, wanted, tone] of tones) assert.deepEqual(replicaStatus(there, wanted), { word: `${there ?? 0}/${wanted}`, tone });
});

test('nodes', () => {
  const node = (status, unschedulable) => ({ spec: { unschedulable }, status: { conditions: status ? [{ type: 'Ready', status }] : [] } });
  const cases = [[node('True'), 'Ready', 'ok'], [node('True', true), 'Ready,SchedulingDisabled', 'busy'], [node('False'), 'NotReady', 'bad'], [node(''), 'Unknown', 'bad']];
  for (const [given, word, tone] of cases) assert.deepEqual(nodeStatus(given), { word, tone });
});

test('for some conditions it is False that is good', () => {
  const cases = [['Ready', 'True', 'ok'], ['Ready', 'False', 'bad'], ['DiskPressure', 'False', 'ok'], ['NetworkUnavailable', 'True', 'bad'], ['ReplicaFailure', 'True', 'bad'], ['Ready', 'Unknown', 'off'], ['Unused', 'False', 'off'], ['Unused', 'True', 'off']];
  for (const [type, status, tone] of cases) assert.equal(conditionTone({ type, status }), tone, `${type}=${status}`);
});

/**
 * Where V8 counts what runs: vitest ends the process of a test file by a signal, upon which V8 writes nothing, so it is
 * asked to when the file's last test is done. Elsewhere this does nothing.
 */
import { takeCoverage } from 'node:v8';
import { afterAll } from 'vitest';

afterAll(() => takeCoverage());

/**
 * Set up in runs that count coverage: vitest ends the process of a test file by a signal, upon which V8 writes
 * nothing, so it is asked to when the file's last test is done.
 */
import { takeCoverage } from 'node:v8';
import { afterAll } from 'vitest';

afterAll(() => takeCoverage());

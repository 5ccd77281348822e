import type { RbacObject } from '@mercato/operator/api/rbac.ts';
import type { Scope } from './scope.ts';

/**
 * Adds roles and bindings. They come as objects from where rights are said as data, beside the program that has them, and are what its tests run under:
 * no chart says rights of its own.
 */
export function rbac(scope: Scope, objects: readonly RbacObject[]): void {
  for (const object of objects) scope.add({ ...object });
}

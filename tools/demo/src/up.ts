import type { Screen } from './play/table.ts';
export async function up(_screen: Screen): Promise<void> {}
export async function down(_screen: Screen): Promise<void> {}

// What a waiting runtime loads before it has a function (node.cjs).
export const handler = async () => undefined;

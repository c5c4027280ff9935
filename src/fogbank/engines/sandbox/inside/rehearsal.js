"use strict";
// What a waiting runtime loads before it has a function (node.cjs).
exports.handler = async (event, context) => ({ event, left: context.getRemainingTimeInMillis() });

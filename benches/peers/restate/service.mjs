// Three durable steps for Restate, at the port that is given.
import http2 from "node:http2";

// The SDK is written for Node 22.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};
const restate = await import("@restatedev/restate-sdk");

const three = restate.service({
  name: "three",
  handlers: {
    run: async (ctx, n) => {
      const a = await ctx.run("a", () => n + 1);
      const b = await ctx.run("b", () => a + 1);
      return await ctx.run("c", () => b + 1);
    },
  },
});

const handler = restate.createEndpointHandler({ services: [three] });
http2.createServer(handler).listen(Number(process.argv[2]), "127.0.0.1");

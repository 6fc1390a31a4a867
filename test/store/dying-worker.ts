// The journal's thread that ends at its first write.
import { serveJournal } from '../../src/store/journal-thread.ts';

serveJournal(
  (journal) =>
    new Proxy(journal, {
      get: (target, name) => {
        if (name === 'put') process.exit(1);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    }),
);

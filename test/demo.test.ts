import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ComponentError } from '@mercato/controlplane';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { demo } from '@mercato/demo/demo.ts';
import { OrdersFileError } from '@mercato/demo/intake/csv.ts';
import { COLUMNS } from '@mercato/demo/intake/records.ts';
import { Phases } from '@mercato/demo/local/phases.ts';
import { localVenue } from '@mercato/demo/local/reach.ts';
import { startTemporaryShop } from '@mercato/demo/local/shop.ts';
import { playDay, ShopBroke } from '@mercato/demo/play/day.ts';
import { atAddresses, openShop, readExamples } from '@mercato/demo/play/examples.ts';
import { Administration } from '@mercato/demo/play/observe.ts';
import { orderBook } from '@mercato/demo/play/orderbook.ts';
import { expect } from 'chai';

/** What a demo wrote. */
class Paper {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

describe('the demo', function () {
  // A start takes 7 s on an idle machine, and this may be a busy one.
  this.timeout(900_000);
  let folder: string;

  before(async () => {
    requireBinaries();
    folder = await realpath(await mkdtemp(join(tmpdir(), 'mercato-orders-')));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('plays a day of orders through a real cluster and real services, loses nothing and leaves nothing behind', async () => {
    const paper = new Paper();
    // Its own: other processes of this machine play demos too.
    const temporary = await mkdtemp(join(folder, 'tmp-'));
    const { TMPDIR } = process.env;
    process.env['TMPDIR'] = temporary;
    const outcome = await demo({ screen: paper, seed: 'b', count: 54, dayMs: 4_000 }).finally(() => {
      if (TMPDIR === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = TMPDIR;
    });
    expect(outcome.violations, paper.text).to.deep.equal([]);
    const { accepted, settled, phases } = outcome.tally;
    expect({ accepted, settled }, 'with the six of examples/').to.deep.equal({ accepted: 60, settled: 60 });
    expect(phases.Succeeded, paper.text).to.be.at.least(45);
    expect(phases.Compensated, paper.text).to.be.at.least(3);
    // The conservation check has held their goods against the carrier's log: each has left the stock, and no others.
    const pickedUp = [...outcome.played].filter(
      ({ order, phase }) => phase === 'Succeeded' && order.input.shipTo.line1?.includes('sim:quick_pickup'),
    );
    expect(pickedUp.length, 'of this seed').to.be.at.least(1);
    const ends = new Map(
      [...outcome.played].map(({ orderId, phase, run }) => [
        String(orderId),
        [phase, run?.status?.conditions?.find(({ type }) => type === 'Succeeded')?.reason],
      ]),
    );
    expect(ends.get('order-1001')).to.deep.equal(['Succeeded', 'Succeeded']);
    expect(ends.get('order-1002'), 'reserved in two warehouses').to.deep.equal(['Succeeded', 'Succeeded']);
    expect(ends.get('order-1003')).to.deep.equal(['Compensated', 'CardDeclined']);
    expect(ends.get('order-1004')).to.deep.equal(['Compensated', 'CaptureDeclined']);
    expect(ends.get('order-1005'), 'the acquirer answers the second time').to.deep.equal(['Succeeded', 'Succeeded']);
    expect(ends.get('order-1006')).to.deep.equal(['Compensated', 'OutOfStock']);
    const placed = [...outcome.played].filter(({ told }) => told !== undefined);
    expect(placed.length, 'brought to the order service').to.be.within(15, 45);
    expect(paper.text).to.include('seed b').and.include('60/60 settled').and.include('nothing was lost');
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  it('plays the day over POST /orders, with its runs in sqlite', async () => {
    const paper = new Paper();
    const outcome = await demo({ screen: paper, seed: 'b', count: 30, dayMs: 2_000, journal: 'sqlite' });
    expect(outcome.violations, paper.text).to.deep.equal([]);
    const { accepted, settled, phases } = outcome.tally;
    expect({ accepted, settled }).to.deep.equal({ accepted: 36, settled: 36 });
    const played = [...outcome.played];
    expect(played.every(({ told, run }) => told !== undefined && run === undefined)).to.equal(true);
    const ends = new Map(played.map(({ order, phase, told }) => [String(order.orderId), [phase, told?.reason]]));
    expect(ends.get('order-1001')).to.deep.equal(['Succeeded', undefined]);
    expect(ends.get('order-1003')).to.deep.equal(['Compensated', 'CardDeclined']);
    expect(ends.get('order-1006')).to.deep.equal(['Compensated', 'OutOfStock']);
    expect(phases.Succeeded, paper.text).to.be.at.least(25);
    expect(paper.text).to.include('nothing was lost');
  });

  it('plays a file with everything wrong in it: each line is in an order or in the report, and what is sound completes', async () => {
    const file = join(folder, 'nasty.csv');
    const sound = (invoice: string, sku: string) =>
      `${invoice},${sku},"A ""fine"" thing, blue",2,2010-12-01 08:26:00,2.55,17850.0,United Kingdom`;
    const long = Array.from({ length: 150 }, (_, i) => sound('900', `LONG${i}`));
    const lines = [
      sound('100', 'A1'),
      'C101,A1,back again,-2,2010-12-01 08:27:00,2.55,17850.0,United Kingdom',
      '"102,A1,never closed,2,2010-12-01 08:28:00,2.55,17850.0,United Kingdom',
      sound('103', 'A2'),
      '104,A1,free,1,2010-12-01 08:29:00,0.0,,United Kingdom',
      ',,,,,,,',
      '<html><body>502 Bad Gateway</body></html>',
      '105,A1,,1,2010-12-01 08:30:00,1.10,,EIRE',
      '105,a1,,1,2010-12-01 08:30:00,1.10,,EIRE',
      '106,A1,nowhere,1,2010-12-01 08:31:00,1.10,,Atlantis',
      '107,POST,postage,1,2010-12-01 08:31:00,18.00,,France',
      `108,A1,${'x'.repeat(20_000)},1,2010-12-01 08:31:00,18.00,,France`,
      '109,A1,too precise,1,2010-12-01 08:31:00,1.999,,France',
      '110,A1,too dear,1000000,2010-12-01 08:31:00,9999999999.99,,France',
      '',
      ...long,
    ];
    await writeFile(
      file,
      Buffer.concat([
        Buffer.from(`\uFEFF${COLUMNS.join(',')}\r\n${lines.join('\r\n')}\r\n`),
        Buffer.from([0xff, 0xfe, 0x22]),
      ]),
    );
    const paper = new Paper();
    const outcome = await demo({ screen: paper, seed: 'fine', ordersFile: file, dayMs: 1_000 });
    expect(outcome.violations, paper.text).to.deep.equal([]);
    expect([...outcome.played].map(({ orderId }) => String(orderId)).sort()).to.deep.equal([
      '100',
      '103',
      '105',
      '900-p1',
      '900-p2',
    ]);
    expect(outcome.tally.settled, paper.text).to.equal(5);
    expect((outcome.intake?.refused ?? []).map(({ line, reason }) => `${line} ${reason}`)).to.deep.equal([
      '3 Cancellation',
      '4 BrokenQuotes',
      '6 NothingToPay',
      '7 InvoiceInvalid',
      '8 WrongColumns',
      '11 CountryUnknown',
      '12 NotGoods',
      '13 LineTooLong',
      '14 PriceNotInCents',
      '15 AmountTooLarge',
      '16 BlankLine',
      '167 NotUtf8',
    ]);
    expect(paper.text).to.include('of 166 lines in the file 154 are in orders and 12 are not');
  });

  it('refuses a file that is none of orders before it starts anything', async () => {
    const file = join(folder, 'page.csv');
    await writeFile(file, '<html><body>502 Bad Gateway</body></html>\n');
    const paper = new Paper();
    const failure = await demo({ screen: paper, ordersFile: file }).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(OrdersFileError);
    expect(paper.text).to.equal('');
  });

  it('says which process died, with the last lines of its log', async () => {
    const home = await realpath(await mkdtemp(join(tmpdir(), 'mercato-demo-')));
    const paper = new Paper();
    const examples = await readExamples();
    const shop = await startTemporaryShop(home, new Phases((line) => paper.write(`${line}\n`)));
    try {
      const venue = localVenue(shop);
      const admin = new Administration(venue.reach);
      await openShop(shop.client, admin, atAddresses(examples, venue.reach), 'default');
      await admin.close();
      const day = {
        venue,
        namespace: 'default',
        seed: 'a',
        orders: orderBook('a', 20),
        warehouses: examples.warehouses,
      };
      const playing = playDay({ ...day, dayMs: 60_000, screen: paper }).catch((error: unknown) => error);
      process.kill(shop.programs.get('payment')!.pid, 'SIGKILL');
      const failure = await playing;
      expect(failure).to.be.instanceOf(ShopBroke);
      expect((failure as Error).message).to.match(
        /payment was ended by SIGKILL; the last lines of its log, .*payment\.log:\n.*listening/s,
      );
    } finally {
      await shop.client.transport.close();
      await shop.stop();
    }
    expect(existsSync(home)).to.equal(false);
  });

  it('ends with the log of a program that cannot start', async () => {
    const home = await realpath(await mkdtemp(join(tmpdir(), 'mercato-demo-')));
    const failure = await startTemporaryShop(home, new Phases(() => {}), { apiServerArgs: ['--no-such-flag'] }).catch(
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(ComponentError);
    expect((failure as Error).message).to.match(/kube-apiserver .*no-such-flag/s);
    expect(existsSync(home)).to.equal(false);
  });

  const real =
    process.env['MERCATO_ORDERS'] ??
    fileURLToPath(new URL('../../shared/data/online-retail-2010-12.csv', import.meta.url));
  if (existsSync(real)) {
    it('plays five days of a real shop, as they come', async () => {
      const paper = new Paper();
      const outcome = await demo({ screen: paper, seed: 'b', ordersFile: real, dayMs: 5_000 });
      expect(outcome.violations, paper.text).to.deep.equal([]);
      expect(outcome.tally.settled, paper.text).to.equal(outcome.tally.planned);
    });
  } else {
    process.stdout.write(`no real orders to play: ${real} is not there; MERCATO_ORDERS=file.csv names another\n`);
  }
});

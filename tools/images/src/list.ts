/** An image, and what goes into it. */
export interface Image {
  /** Its repository is `mercato/{name}`. */
  readonly name: string;
  /** The workspace package whose programs it holds. */
  readonly package: string;
  /** What it is, in a sentence, for whoever finds it in a registry. */
  readonly title: string;
  /** Folders of the repository beside the packages. @default none */
  readonly folders?: readonly string[];
}

/** Every image of the project. A service that is added is one more line. */
export const IMAGES: readonly Image[] = [
  { name: 'operator', package: 'operator', title: 'Mercato operator: order sagas and stock on Kubernetes' },
  { name: 'boundary', package: 'boundary', title: 'Mercato boundary: owns the policies of card namespaces' },
  { name: 'order', package: 'services/order', title: 'Mercato order: takes orders and tells what became of them' },
  { name: 'inventory', package: 'services/inventory', title: 'Mercato inventory: stock of every warehouse' },
  { name: 'payment', package: 'services/payment', title: 'Mercato payment, and a simulated acquirer' },
  { name: 'shipping', package: 'services/shipping', title: 'Mercato shipping, and a simulated carrier' },
  { name: 'tools', package: 'tools/demo', title: 'Mercato order player for tests in a cluster', folders: ['examples'] },
];

/** The image of a package. @throws Error that lists the packages */
export function imageOf(folder: string): Image {
  const image = IMAGES.find((each) => each.package === folder);
  if (image !== undefined) return image;
  throw new Error(`no image is made of "${folder}"; of these: ${IMAGES.map((each) => each.package).join(', ')}`);
}
